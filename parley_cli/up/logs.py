"""Logs of the parts, in files that don't grow for ever."""

import logging
import logging.handlers
from pathlib import Path

_BYTES = 10_000_000
_OLD_FILES = 3


class RotatingLog:
    """A sink for a part's output that writes to `name.log` and keeps three older files of 10 MB beside it."""

    def __init__(self, folder: Path, name: str) -> None:
        self._handler = logging.handlers.RotatingFileHandler(
            folder / f"{name}.log", maxBytes=_BYTES, backupCount=_OLD_FILES, errors="replace", delay=True
        )

    def __call__(self, line: str) -> None:
        """Writes a line."""
        self._handler.handle(logging.makeLogRecord({"msg": line}))

    def close(self) -> None:
        """Closes the file; a further line opens it again."""
        self._handler.close()
