"""Logs of the parts, in files that don't grow for ever."""

import logging
import logging.handlers
from pathlib import Path

from parley_cli.parts.process import LineSink

_BYTES = 10_000_000
_OLD_FILES = 3


def rotating_log(folder: Path, name: str) -> LineSink:
    """A sink that writes to `name.log` and keeps three older files of 10 MB beside it."""
    handler = logging.handlers.RotatingFileHandler(
        folder / f"{name}.log", maxBytes=_BYTES, backupCount=_OLD_FILES, errors="replace"
    )

    def write(line: str) -> None:
        handler.handle(logging.makeLogRecord({"msg": line}))

    return write
