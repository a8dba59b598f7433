"""What parts of the control plane say of themselves."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class Observer(Protocol):
    """Measures and traces."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Measures a stage of a join: `authorize`, `meeting`, `place`, `open_session`, `commit`."""
        ...

    def joined(self, outcome: str, seconds: float) -> None:
        """A join ended: `ok` or the reason of its failure."""
        ...

    def counted(self, name: str, amount: float = 1) -> None:
        """Something happened: `participants_left_expired`, `media_moved`, ..."""
        ...

    def task_healthy(self, name: str, *, healthy: bool) -> None:
        """Whether a supervised task's last turn ended without a fault."""
        ...

    def task_failed(self, name: str, fault: str) -> None:
        """A turn of a supervised task failed by a fault, named by its type."""
        ...

    def set_aside(self, kind: str) -> None:
        """A record was met that can't be read or applied."""
        ...
