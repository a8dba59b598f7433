"""What can be seen without starting anything."""

import os
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from parley_cli.ports import check_port
from parley_cli.settings import Settings
from parley_cli.up.data_folder import read_instance
from parley_cli.versions import versions

_LEAST_FREE_BYTES = 1_000_000_000
_MISSING = "missing"


@dataclass(frozen=True)
class Check:
    """A finding.

    Attributes:
        name: What was looked at.
        good: Whether it is as it must be.
        finding: What was found; when it is not good, what to do.
    """

    name: str
    good: bool
    finding: str


def static_checks(settings: Settings) -> Sequence[Check]:
    """Versions of the parts, engine, web client, data folder, disk, ports."""
    return [
        *_parts(),
        _engine(),
        _web_client(settings.web_root),
        _data_folder(settings.data_dir.expanduser()),
        _disk(settings.data_dir.expanduser()),
        _gateway_port(settings),
        _media_port(settings.media_bind_address),
    ]


def _parts() -> Sequence[Check]:
    return [
        Check(name, version != _MISSING, version if version != _MISSING else "It is missing: run `make setup`.")
        for name, version in versions().items()
    ]


def _engine() -> Check:
    try:
        import media_plane._engine  # noqa: F401, PLC0415 - whether it can be imported is the question
    except ImportError as error:
        return Check("engine", good=False, finding=f"It can't be loaded: {error}. Run `make setup`.")
    return Check("engine", good=True, finding="loads")


def _web_client(root: Path) -> Check:
    built = (root / "index.html").is_file()
    return Check("web client", built, str(root) if built else f"It is not built in {root}: run `make setup`.")


def _data_folder(folder: Path) -> Check:
    place = _existing(folder)
    good = os.access(place, os.W_OK)
    return Check("data folder", good, str(folder) if good else f"{folder} can't be written: choose another.")


def _disk(folder: Path) -> Check:
    free = shutil.disk_usage(_existing(folder)).free
    finding = f"{free / 1e9:.1f} GB free"
    return Check("disk", free >= _LEAST_FREE_BYTES, finding)


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())


def _gateway_port(settings: Settings) -> Check:
    name = f"port {settings.port}"
    if instance := read_instance(settings.data_dir):
        return Check(name, good=True, finding=f"parley runs at {instance['url']}")
    try:
        check_port(settings.bind_address, settings.port)
    except OSError as error:
        return Check(name, good=False, finding=f"It can't be used: {error.strerror}. Choose another with --port.")
    return Check(name, good=True, finding="free")


def _media_port(address: str) -> Check:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError as error:
        return Check("UDP", good=False, finding=f"No port on {address}: {error.strerror}.")
    return Check("UDP", good=True, finding=f"ports on {address} can be had")
