"""`python -m media_plane.node`: a media node."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import uvloop
from pydantic import ValidationError
from pydantic_settings import SettingsError

from grpc_kit.server import AddressInUseError
from media_plane.node.bootstrap import StartError, run, telemetry
from media_plane.node.identity import NodeIdentityError
from media_plane.settings import NodeSettings


def main() -> int:
    """Run a node; return the process's exit code."""
    try:
        settings = _settings()
        running = telemetry(settings)
    except StartError as error:
        return _fail(str(error))
    try:
        uvloop.run(run(settings))
    except (StartError, NodeIdentityError, AddressInUseError) as error:
        return _fail(str(error))
    finally:
        running.shutdown()
    return 0


def _settings() -> NodeSettings:
    file = os.environ.get("PARLEY_CONFIG")
    try:
        if file and not Path(file).is_file():
            message = f"There is no configuration file {file}, which PARLEY_CONFIG names."
            raise StartError(message)
        return NodeSettings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        message = f"PARLEY_{name}: {first['msg'].removeprefix('Value error, ')}."
        raise StartError(message) from error
    except SettingsError as error:
        message = f"A PARLEY_ variable is not of the form that is needed: {error}."
        raise StartError(message) from error
    except (OSError, ValueError) as error:
        message = f"The configuration file {file}, which PARLEY_CONFIG names, can't be read as TOML."
        raise StartError(message) from error


def _fail(sentence: str) -> int:
    sys.stderr.write(f"parley node: {sentence}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
