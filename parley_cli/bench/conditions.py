"""Under which conditions a figure was measured, without which it says nothing."""

import datetime as dt
import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from parley_cli.versions import versions


def conditions() -> Mapping[str, Any]:
    """Machine, kernel, versions, date, and how busy the machine was before."""
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "processor": _processor(),
        "kernel": platform.release(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load_average_before": round(os.getloadavg()[0], 2),
        "versions": versions(),
    }


class HostMeter:
    """How much of a virtual machine's processor time its host has given to others since this was made.

    They also take its caches: above a few percent, figures of time are the host's rather than the product's.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._stolen = stolen_seconds()

    def stolen_percent(self) -> float:
        """Of all cores together; 0 on a machine that is nobody's guest."""
        available = (time.monotonic() - self._began) * (os.cpu_count() or 1)
        return round(100 * (stolen_seconds() - self._stolen) / available, 1)


def stolen_seconds() -> float:
    """Processor time, of all cores, that the host of this machine has given to others so far; 0 where there is none."""
    return float(getattr(psutil.cpu_times(), "steal", 0.0))


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
