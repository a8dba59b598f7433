"""What a server costs: processor time and memory of its processes, counted by the kernel."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from parley_cli.bench.conditions import stolen_seconds


@dataclass(frozen=True)
class Cost:
    """Counters at one moment, or their change.

    Attributes:
        wall: Seconds.
        user: Seconds of processor time of the server's processes.
        system: Likewise, in the kernel.
        softirq: Seconds of software interrupts on the whole machine; partly within `system` of whom they interrupt.
        stolen: Seconds of the whole machine's processor time that its host gave to others.
    """

    wall: float
    user: float
    system: float
    softirq: float
    stolen: float

    @property
    def cpu(self) -> float:
        """Seconds of processor time of the server."""
        return self.user + self.system

    def __sub__(self, earlier: "Cost") -> "Cost":
        return Cost(
            self.wall - earlier.wall,
            self.user - earlier.user,
            self.system - earlier.system,
            self.softirq - earlier.softirq,
            self.stolen - earlier.stolen,
        )


def cost(pids: Sequence[int]) -> Cost:
    """Reads the counters of processes and their children."""
    times = [process.cpu_times() for process in _family(pids)]
    return Cost(
        time.monotonic(),
        sum(each.user for each in times),
        sum(each.system for each in times),
        psutil.cpu_times().softirq,
        stolen_seconds(),
    )


def memory(pids: Sequence[int]) -> int:
    """Bytes of memory of processes and their children; what they share counts once (PSS)."""
    return sum(process.memory_full_info().pss for process in _family(pids))


def _family(pids: Sequence[int]) -> Sequence[psutil.Process]:
    processes = [psutil.Process(pid) for pid in pids]
    return list({each for process in processes for each in (process, *process.children(recursive=True))})
