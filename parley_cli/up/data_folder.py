"""The folder that holds everything a deployment keeps on this machine: data, secrets, logs."""

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from parley_cli.errors import CommandError

_SECRET_BYTES = 32


class DataFolder:
    """A data folder that is this process's alone until it ends.

    Attributes:
        path: Where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self._lock = -1

    def open(self) -> None:
        """Makes the folder if need be and locks it. The kernel lifts the lock when this process ends, however it ends.

        Raises:
            CommandError: It can't be written, or another process holds it.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.logs.mkdir(mode=0o700, exist_ok=True)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            message = f"The data folder {self.path} can't be used: {error.strerror}. Choose another with --data-dir."
            raise CommandError(message) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = (
                f"The data folder {self.path} is in use by another parley{self._holder()}. "
                "Stop it, or choose another folder with --data-dir."
            )
            raise CommandError(message) from error
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, str(os.getpid()).encode(), 0)

    @property
    def logs(self) -> Path:
        """Where logs of the parts go."""
        return self.path / "logs"

    def secret(self, name: str) -> str:
        """A secret of this deployment, made at its first use and kept in a file that its owner alone can read."""
        folder = self.path / "secrets"
        folder.mkdir(mode=0o700, exist_ok=True)
        file = folder / name
        if not file.exists():
            fresh = folder / f"{name}.new"
            fresh.touch(mode=0o600)
            fresh.write_text(secrets.token_urlsafe(_SECRET_BYTES))
            fresh.rename(file)
        return file.read_text().strip()

    def held(self, part: str) -> bool:
        """Whether a part that is down shall stay down: while there is a file of its name in the folder `hold`."""
        return (self.path / "hold" / part).exists()

    def publish(self, instance: Mapping[str, Any]) -> None:
        """Says what runs here, for other commands (`read_instance`)."""
        fresh = self.path / "instance.json.new"
        fresh.write_text(json.dumps(instance, indent=2))
        fresh.rename(self.path / "instance.json")

    def withdraw(self) -> None:
        """Says that nothing runs here any more."""
        (self.path / "instance.json").unlink(missing_ok=True)

    def _holder(self) -> str:
        with contextlib.suppress(OSError):
            pid = (self.path / "lock").read_text()
            return f" (process {pid})" if pid else ""
        return ""


def read_instance(path: Path) -> Mapping[str, Any] | None:
    """What runs in a data folder now, or None: its `url`, `pid`, and the process id of each of its `parts`."""
    try:
        instance: Mapping[str, Any] = json.loads((path.expanduser() / "instance.json").read_text())
        os.kill(instance["pid"], 0)
    except (OSError, ValueError, KeyError):
        return None
    return instance
