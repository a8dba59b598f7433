"""What a conferencing server must offer to be measured. Each server is one small module that implements it."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

Kind = Literal["audio", "video"]

SOURCES: Final[Mapping[Kind, str]] = {"audio": "microphone", "video": "camera"}


@dataclass(frozen=True)
class Member:
    """Somebody who takes part.

    Attributes:
        id: Unique within a measurement.
        sends: What they send.
        receives: What they receive of the others, once for each of them.
        feedback: Whether they agree on transport-cc.
    """

    id: str
    sends: tuple[Kind, ...] = ()
    receives: Mapping[Kind, int] | None = None
    feedback: bool = True

    @property
    def track_operations(self) -> list[Mapping[str, str]]:
        """`send` of the load client's operation `offer`."""
        return [{"kind": kind, "source": SOURCES[kind]} for kind in self.sends]


@dataclass(frozen=True)
class Entered:
    """A member who has got through signalling; connecting goes on.

    Attributes:
        sender: The load client that sends; empty when none does.
        receiver: The load client that receives; empty when none does. May be the sender.
    """

    sender: str
    receiver: str


class Clients(Protocol):
    """What makes connections for members: the load client, or browser windows."""

    async def ask(self, operation: str, **fields: Any) -> Mapping[str, Any]:  # noqa: ANN401 - JSON
        """Does one thing for the client `id` and returns what came of it; see `LoadClients.ask`."""


class Server(Protocol):
    """A running server."""

    @property
    def pids(self) -> Sequence[int]:
        """Processes that are the server. Their children count too."""

    async def prepare(self, room: int, member: Member) -> None:
        """Does what a client does before somebody clicks on "join", such as getting a token. May be left out."""

    async def enter(self, room: int, members: Sequence[Member]) -> Sequence[Entered]:
        """Takes members into a room, which is made if it is new. Senders come in before receivers."""

    async def leave(self, member: str) -> None:
        """Takes a member out again."""


class Peer(Protocol):
    """A server that can be started."""

    name: str
    """Its name in the table."""

    def missing(self) -> str:
        """One sentence about what is missing to run it; empty: nothing."""

    def conditions(self) -> Mapping[str, Any]:
        """Its version, and settings that are not its defaults."""

    def running(self, load: Clients, *, whole: bool) -> AbstractAsyncContextManager[Server]:
        """Starts it.

        Args:
            load: Makes its clients.
            whole: Whether everything is wanted that joins go through in production, not only what forwards media.
        """
