"""Products that run on this machine: found by their processes, whatever folder and port they were given."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from grpc_kit.channel import split_targets
from parley_cli.errors import CommandError
from parley_cli.settings import Settings
from parley_cli.up.data_folder import read_instance

_LOCK = "lock"


@dataclass(frozen=True)
class Instance:
    """A product that `parley up` runs.

    Attributes:
        data_dir: Its data folder.
        pid: The process that supervises it.
        url: Address to open in a browser.
        local_url: Address by which this machine reaches its gateway.
        parts: Process id of each part that runs.
        planned: Names of all its parts.
        control_planes: `host:port` of each process of its control plane, past the gateway; none: not known.
    """

    data_dir: Path
    pid: int
    url: str
    local_url: str
    parts: Mapping[str, int]
    planned: Sequence[str] = ()
    control_planes: Sequence[str] = ()

    @property
    def port(self) -> int:
        """Port of its gateway."""
        return urlsplit(self.local_url).port or 0

    @property
    def secure(self) -> bool:
        """Whether its gateway speaks TLS."""
        return self.local_url.startswith("https://")

    def operator_token(self, settings: Settings) -> str:
        """Returns the token for operators' calls: the one that was set, or the one that it has made."""
        given = settings.operator_token.get_secret_value()
        if given:
            return given
        try:
            return (self.data_dir / "secrets" / "operator-token").read_text().strip()
        except OSError:
            return ""


def in_folder(folder: Path) -> Instance | None:
    """Returns what runs in a data folder."""
    found = read_instance(folder)
    return None if found is None else _instance(folder.expanduser().absolute(), found)


def running() -> Sequence[Instance]:
    """Returns all that run here and that this user may see, by data folder."""
    found = {instance.data_dir: instance for folder in _folders() if (instance := in_folder(folder)) is not None}
    return [found[folder] for folder in sorted(found)]


def chosen(settings: Settings, among: Sequence[Instance]) -> Sequence[Instance]:
    """Returns the instances that are meant: by the folder or the port that was given.

    Where neither was: the one in the default folder, or the only one, or the one at the default port, or all.
    """
    given = settings.model_fields_set
    folder = settings.data_dir.expanduser().absolute()
    at_port = [one for one in among if one.port == settings.port]
    if "data_dir" in given:
        return [one for one in among if one.data_dir == folder]
    if "port" in given:
        return at_port
    return [one for one in among if one.data_dir == folder] or (at_port if len(among) > 1 else []) or among


def the_one(settings: Settings) -> Instance:
    """Returns the one instance that is meant.

    Raises:
        CommandError: There is none, or more than one.
    """
    found = chosen(settings, running())
    if not found:
        message = "No parley runs here: start one with `parley up`, or name its folder with --data-dir."
        raise CommandError(message)
    if len(found) > 1:
        folders = ", ".join(str(one.data_dir) for one in found)
        message = f"Several run here: choose one with --data-dir or --port. Their folders: {folders}."
        raise CommandError(message)
    return found[0]


def _folders() -> Iterator[Path]:
    """Data folders that a supervising process holds the lock of."""
    for process in psutil.process_iter():
        try:
            if "up" not in process.cmdline():
                continue
            for file in process.open_files():
                place = Path(file.path)
                if place.name == _LOCK and (place.parent / "instance.json").exists():
                    yield place.parent
        except (psutil.Error, OSError):
            continue  # ended meanwhile, or another user's


def _instance(folder: Path, found: Mapping[str, Any]) -> Instance:
    return Instance(
        data_dir=folder,
        pid=found["pid"],
        url=found["url"],
        local_url=found["local_url"],
        parts=found["parts"],
        planned=found.get("planned", list(found["parts"])),
        control_planes=split_targets(found.get("control_plane", "")),
    )
