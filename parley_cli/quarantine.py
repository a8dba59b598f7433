"""`parley quarantine`: records that were set aside, shown, tried again or dropped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from parley_cli.operations import Operations

app = typer.Typer(
    help="Show records that could not be read or applied, have them tried again, or drop them.", no_args_is_help=True
)

Port = Annotated[int | None, typer.Option(help="Port of the gateway of the product that is meant.")]
DataDir = Annotated[Path | None, typer.Option(help="Data folder of the product that is meant.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Record = Annotated[str, typer.Argument(help="The record's name, as the list shows it.")]


@app.command("list")
def list_records(*, as_json: Json = False, port: Port = None, data_dir: DataDir = None) -> None:
    """Show what is set aside."""
    with _operations(port, data_dir) as operations:
        records = operations.quarantined_records()
    console = Console(highlight=False)
    if as_json:
        console.file.write(json.dumps(records, indent=2) + "\n")
        return
    if not records:
        console.print("Nothing is set aside.")
    for record in records:
        name = record["name"].removeprefix("quarantinedRecords/")
        console.print(
            f"{name}  {record.get('problem', '')}, met {record.get('count', 0)} times since {record['firstTime']}",
            markup=False,
            soft_wrap=True,
        )


@app.command()
def retry(record: Record, *, port: Port = None, data_dir: DataDir = None) -> None:
    """Have a record tried again at once."""
    _treat(record, drop=False, port=port, data_dir=data_dir)


@app.command()
def drop(record: Record, *, port: Port = None, data_dir: DataDir = None) -> None:
    """Take a record away for good."""
    _treat(record, drop=True, port=port, data_dir=data_dir)


def _treat(record: str, *, drop: bool, port: int | None, data_dir: Path | None) -> None:
    with _operations(port, data_dir) as operations:
        (operations.drop if drop else operations.retry)(record)


def _operations(port: int | None, data_dir: Path | None) -> Operations:
    from parley_cli.instances import the_one  # noqa: PLC0415 - --help need not wait for it
    from parley_cli.operations import Operations  # noqa: PLC0415
    from parley_cli.settings import load_settings  # noqa: PLC0415

    settings = load_settings(port=port, data_dir=data_dir)
    return Operations(the_one(settings), settings)
