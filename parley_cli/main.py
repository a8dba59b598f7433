"""The `parley` command."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from parley_cli.bench.commands import app as bench
from parley_cli.errors import FAILURE, CommandError
from parley_cli.quarantine import app as quarantine

app = typer.Typer(
    help="Parley: video conferencing that anyone can run.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(bench, name="bench")
app.add_typer(quarantine, name="quarantine")

Port = Annotated[int | None, typer.Option(help="Port of the gateway (PARLEY_PORT; default 8080).")]
DataDir = Annotated[
    Path | None,
    typer.Option(help="Folder for data, secrets and logs (PARLEY_DATA_DIR; default ~/.local/share/parley)."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.command()
def up(
    *,
    lan: Annotated[bool, typer.Option("--lan", help="Serve the whole network, over TLS, and show a QR code.")] = False,
    port: Port = None,
    data_dir: DataDir = None,
) -> None:
    """Start everything on this machine: stores, control plane, media node, web client, gateway."""
    from parley_cli.settings import load_settings  # noqa: PLC0415 - --help need not wait for it
    from parley_cli.up.run import run_up  # noqa: PLC0415

    run_up(load_settings(port=port, data_dir=data_dir), lan=lan, console=Console(highlight=False))


@app.command("control-plane")
def control_plane() -> None:
    """Run a control-plane process; its stores are at PARLEY_DATABASE_URL and PARLEY_REDIS_URL."""
    _become("control_plane")


@app.command()
def node() -> None:
    """Run a media node, which registers at PARLEY_CONTROL_PLANE_TARGET."""
    _become("media_plane.node")


@app.command()
def gateway(port: Port = None, data_dir: DataDir = None) -> None:
    """Run Envoy and the web client's server, in front of PARLEY_CONTROL_PLANE_TARGET."""
    from parley_cli.settings import load_settings  # noqa: PLC0415
    from parley_cli.up.gateway import run_gateway  # noqa: PLC0415

    run_gateway(load_settings(port=port, data_dir=data_dir))


@app.command()
def settings(*, as_json: Json = False) -> None:
    """Print every setting: meaning, default, present value and where that came from."""
    from parley_cli.settings_table import print_settings  # noqa: PLC0415

    print_settings(Console(highlight=False), as_json=as_json)


@app.command()
def doctor(*, as_json: Json = False, port: Port = None, data_dir: DataDir = None) -> None:
    """Check this machine and the product that runs on it, then hold a real call between two headless clients."""
    from parley_cli.doctor.command import run_doctor  # noqa: PLC0415
    from parley_cli.settings import load_settings  # noqa: PLC0415

    good = run_doctor(load_settings(port=port, data_dir=data_dir), as_json=as_json, console=Console(highlight=False))
    if not good:
        raise typer.Exit(FAILURE)


def main() -> None:
    """Runs the command; an error that a person can do something about is one sentence."""
    try:
        app()
    except CommandError as error:
        sys.stderr.write(f"parley: {error}\n")
        sys.exit(error.status)


def _become(module: str) -> None:
    """Runs a module in this process's place, so that signals and status are its own."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module])  # noqa: S606 - our own module


if __name__ == "__main__":
    main()
