"""Versions of Parley and of the parts it brings."""

import subprocess
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path

from parley_cli.parts.envoy import program as envoy_program
from parley_cli.parts.part import PartError
from parley_cli.parts.postgres import program as postgres_program
from parley_cli.parts.redis import program as redis_program

_PACKAGES = ("parley-server", "grpcio", "protobuf", "aiortc")
_PROGRAMS: Mapping[str, Callable[[], Path]] = {
    "postgres": lambda: postgres_program("postgres"),
    "valkey": redis_program,
    "envoy": envoy_program,
}
_TIMEOUT = 10.0
_MISSING = "missing"


def versions() -> Mapping[str, str]:
    """Versions by name; `missing` where a part is not there."""
    found = {name: _package(name) for name in _PACKAGES}
    return found | {name: _program(path) for name, path in _PROGRAMS.items()}


def _package(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return _MISSING


def _program(path: Callable[[], Path]) -> str:
    try:
        command = [str(path()), "--version"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=True)  # noqa: S603 - ours
    except (PartError, OSError, subprocess.SubprocessError):
        return _MISSING
    # PostgreSQL says "postgres (PostgreSQL) 18.4", Valkey "v=9.1.2 sha=...", Envoy "<hash>/1.40.0/Clean/...".
    words: list[str] = done.stdout.replace("v=", " ").replace("/", " ").split()
    return next((word for word in words if word[0].isdigit() and "." in word), done.stdout.strip())
