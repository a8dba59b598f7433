"""What a capability is: the one place in which it says what it needs and what it brings to a process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")
Hook = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Task:
    """Something that is done again and again, under supervision.

    Attributes:
        name: Names it in logs, in metrics and in health.
        work: One turn of it.
        pause: Seconds between a good turn and the next.
        essential: Without it callers must not be sent to this process: it counts for the health of the whole.
    """

    name: str
    work: Callable[[], Awaitable[object]]
    pause: float
    essential: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """What a capability brings to a process.

    Attributes:
        servicers: By full name of a service of the contracts an object with some of its methods, or with all of them.
        tasks: What it does again and again.
        start: Run in order before anything is served.
        drain: Run when the process is about to end: long-lived streams are told to go elsewhere.
        stop: Run in reverse order when no call is under way any more and no task runs: what else runs is ended.
        close: Run in reverse order at the very end: connections are closed.
    """

    servicers: Mapping[str, object] = field(default_factory=dict)
    tasks: Sequence[Task] = ()
    start: Sequence[Hook] = ()
    drain: Sequence[Hook] = ()
    stop: Sequence[Hook] = ()
    close: Sequence[Hook] = ()


class House:
    """A process while it is being built: what its parts give each other, by type.

    Args:
        given: What is there before any part is built. No part makes another of the same type.
    """

    def __init__(self, given: Mapping[type[Any], object] | None = None) -> None:
        self._things: dict[type[Any], object] = dict(given or {})

    def provide(self, kind: type[T], make: Callable[[], T]) -> T:
        """Gives others what `make` returns; what was given before the building began stays in its place."""
        if kind not in self._things:
            self._things[kind] = make()
        return self.need(kind)

    def need(self, kind: type[T]) -> T:
        """Returns what another part provides.

        Raises:
            LookupError: No part that was built before provides it.
        """
        try:
            return self._things[kind]  # type: ignore[return-value]  # `provide` keeps them under their types
        except KeyError:
            message = f"no capability before this one provides {kind.__module__}.{kind.__qualname__}"
            raise LookupError(message) from None


@dataclass(frozen=True, slots=True)
class Capability:
    """A capability of the control plane.

    Attributes:
        name: Its folder.
        build: Makes its part of a process.
    """

    name: str
    build: Callable[[House], Part]
