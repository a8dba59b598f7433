"""`python -m control_plane`: a control-plane process."""

from __future__ import annotations

import os
import socket
import sys
from importlib.metadata import PackageNotFoundError, version

import uvloop
from pydantic import ValidationError
from pydantic_settings import SettingsError

from control_plane.accounts.tokens import SigningKeyError
from control_plane.app import build
from control_plane.settings import ControlPlaneSettings
from grpc_kit.process import announce_ready, end_on_signal
from grpc_kit.server import AddressInUseError
from grpc_kit.telemetry import Telemetry, TelemetryOptions, start_telemetry


class StartError(Exception):
    """The process can't start; the message is one sentence for the operator."""


def main() -> int:
    """Runs until a signal comes; returns the process's exit status."""
    try:
        settings = read_settings()
        telemetry = _telemetry(settings)
        try:
            uvloop.run(serve(settings))
        finally:
            telemetry.shutdown()
    except (StartError, SigningKeyError, AddressInUseError) as error:
        sys.stderr.write(f"parley control-plane: {error}\n")
        return 1
    return 0


def read_settings() -> ControlPlaneSettings:
    """Returns what the process is told.

    Raises:
        StartError: A setting breaks its rule, or the file is no TOML.
    """
    try:
        return ControlPlaneSettings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        message = f"PARLEY_{name}: {first['msg']}."
    except SettingsError as error:
        message = f"A PARLEY_ variable is not of the form that is needed: {error}."
    except (OSError, ValueError):
        message = f"The configuration file {os.environ.get('PARLEY_CONFIG')} can't be read as TOML."
    raise StartError(message)


async def serve(settings: ControlPlaneSettings) -> None:
    """Serves until SIGTERM or SIGINT, then drains.

    Args:
        settings: What the process is told.

    Raises:
        SigningKeyError: The signing key can't be used.
        AddressInUseError: The address can't be had.
    """
    ending = end_on_signal()
    application = build(settings)
    try:
        port = await application.start()
        announce_ready({"port": port, "metrics_port": settings.control_plane_metrics_port})
        await ending.wait()
    finally:
        await application.stop()


def _telemetry(settings: ControlPlaneSettings) -> Telemetry:
    options = TelemetryOptions(
        service_name="parley-control-plane",
        instance=f"{socket.gethostname()}-{os.getpid()}",
        version=_version(),
        otlp_endpoint=settings.otlp_endpoint,
        log_format=settings.log_format,
        log_level=settings.log_level,
        metrics_address=settings.metrics_address,
        metrics_port=settings.control_plane_metrics_port,
    )
    try:
        return start_telemetry(options)
    except OSError as error:
        message = f"Can't serve metrics on port {options.metrics_port}: it is in use."
        raise StartError(message) from error


def _version() -> str:
    try:
        return version("parley-server")
    except PackageNotFoundError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
