"""What can be seen without starting anything."""

import os
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

from parley_cli.doctor.check import Check
from parley_cli.instances import Instance
from parley_cli.ports import check_port
from parley_cli.settings import Settings
from parley_cli.versions import versions

_LEAST_FREE_BYTES = 1_000_000_000
_MISSING = "missing"


def static_checks(
    settings: Settings, instances: Sequence[Instance] = (), others: Sequence[Instance] = ()
) -> list[Check]:
    """Versions of the parts, engine, web client, data folder, disk, ports.

    Args:
        settings: What a product that is started here is told.
        instances: The products that run and are meant.
        others: Products that run here besides.
    """
    folders = [instance.data_dir for instance in instances] or [settings.data_dir.expanduser()]
    return [
        *_parts(),
        _engine(),
        _web_client(settings.web_root),
        *(check for folder in folders for check in (_data_folder(folder), _disk(folder))),
        *([_own_port(instance) for instance in instances] or [_gateway_port(settings, others)]),
        _media_port(settings.engine_bind_address),
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


def _own_port(instance: Instance) -> Check:
    return Check(f"port {instance.port}", good=True, finding=f"parley runs at {instance.url}")


def _gateway_port(settings: Settings, others: Sequence[Instance]) -> Check:
    name = f"port {settings.port}"
    for other in others:
        if other.port == settings.port:
            finding = f"The parley of {other.data_dir} has it: name that folder with --data-dir, or another --port."
            return Check(name, good=False, finding=finding)
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
