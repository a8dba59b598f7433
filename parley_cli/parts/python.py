"""Parley's own processes: Python modules that say `READY <json>` when they serve."""

import sys
from collections.abc import Mapping
from typing import Any

from parley_cli.parts.part import Part
from parley_cli.parts.process import Command, LineSink


class PythonPart(Part):
    """A module of Parley, run by this interpreter.

    Args:
        name: Short name for people and logs.
        module: What `python -m` runs.
        environment: Its settings, `PARLEY_*`.
        sink: Takes its output.
    """

    def __init__(self, name: str, module: str, environment: Mapping[str, str], sink: LineSink | None = None) -> None:
        super().__init__(sink)
        self.name = name
        self._module = module
        self._environment = environment

    @property
    def ready(self) -> Mapping[str, Any]:
        """What it said when it was ready; empty before."""
        return (self.process and self.process.ready) or {}

    def command(self) -> Command:
        """The interpreter with the module; output unbuffered so that logs are there when something dies."""
        return Command([sys.executable, "-m", self._module], {**self._environment, "PYTHONUNBUFFERED": "1"})

    def probe(self) -> bool:
        """Whether it has said READY since it was started."""
        return self.process is not None and self.process.ready is not None
