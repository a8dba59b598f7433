"""The load client, as the measurements see it."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.peers.network import Network
from parley_cli.bench.load import LoadClients, load_clients
from parley_cli.errors import CommandError

_POLL_SECONDS = 0.1
_QUICK_POLL_SECONDS = 0.005
_NANO = 1e-9


@dataclass(frozen=True)
class Received:
    """What one load client has received so far.

    Attributes:
        state: Of its connection.
        packets: Media packets that it read.
        lost: Gaps in their numbers.
        dropped: Datagrams that the kernel dropped at its socket: all media of a stopped client.
        sent: Media packets that it sent.
        first: When its first media packet came, seconds since the epoch; None: not yet.
        first_key_frame: When its first key frame began.
        srtp_profile: What was agreed on.
    """

    state: str
    packets: int
    lost: int
    dropped: int
    sent: int
    first: float | None
    first_key_frame: float | None
    srtp_profile: str

    @classmethod
    def parse(cls, client: Mapping[str, Any]) -> "Received":
        """Reads one entry of the reply to `stats`."""
        mids = client["mids"].values()

        def earliest(name: str) -> float | None:
            moments = [mid[name] for mid in mids if mid[name] is not None]
            return min(moments) * _NANO if moments else None

        return cls(
            state=client["state"],
            packets=sum(mid["packets"] for mid in mids),
            lost=sum(mid["lost"] for mid in mids),
            dropped=client["dropped"] or 0,
            sent=sum(track["packets"] for track in client["sent"].values()),
            first=earliest("first_unix_nano"),
            first_key_frame=earliest("first_key_frame_unix_nano"),
            srtp_profile=client["srtp_profile"] or "",
        )


@dataclass(frozen=True)
class Snapshot:
    """All load clients at one moment.

    Attributes:
        cpu: Seconds of processor time that the load client has used.
        clients: By id.
        latency_us: From the payload's time stamp to the receiver's socket, since the last reset; by kind.
    """

    cpu: float
    clients: Mapping[str, Received]
    latency_us: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def only(self, ids: Iterable[str]) -> Sequence[Received]:
        """The clients of these ids."""
        return [self.clients[each] for each in ids]


@dataclass(frozen=True)
class Load:
    """Load clients in a namespace of their own."""

    clients: LoadClients

    async def ask(self, operation: str, **fields: Any) -> Mapping[str, Any]:  # noqa: ANN401 - JSON
        """Sends an operation; see `LoadClients.ask`."""
        return await self.clients.ask(operation, **fields)

    async def snapshot(self) -> Snapshot:
        """Reads all counters."""
        reply = await self.ask("stats")
        return Snapshot(
            cpu=reply["cpu_seconds"],
            clients={client["id"]: Received.parse(client) for client in reply["clients"]},
            latency_us={kind: reply["totals"][f"{kind}_latency_us"] for kind in ("audio", "video")},
        )

    async def one(self, client: str) -> Received:
        """Reads the counters of one client."""
        return Received.parse((await self.ask("stats", id=client))["clients"][0])

    async def wait_connected(self, ids: Sequence[str], seconds: float) -> None:
        """Waits until these clients are connected.

        Raises:
            CommandError: Some are not in time.
        """
        await self._wait(ids, seconds, lambda client: client.state == "connected", "connected")

    async def wait_receiving(self, ids: Sequence[str], seconds: float) -> None:
        """Waits until media has come to each of these clients.

        Raises:
            CommandError: Some got none in time.
        """
        await self._wait(ids, seconds, lambda client: client.packets > 0, "received media")

    async def wait_first(self, client: str, seconds: float) -> Received:
        """Waits for a client's first key frame.

        Raises:
            CommandError: It does not come in time.
        """
        deadline = time.monotonic() + seconds
        while (received := await self.one(client)).first_key_frame is None:
            if time.monotonic() > deadline:
                message = f"{client} is {received.state} and got no picture within {seconds:g} s."
                raise CommandError(message)
            await asyncio.sleep(_QUICK_POLL_SECONDS)
        return received

    async def _wait(self, ids: Sequence[str], seconds: float, done: Any, name: str) -> None:  # noqa: ANN401 - a predicate
        deadline = time.monotonic() + seconds
        while True:
            clients = (await self.snapshot()).only(ids)
            ready = sum(1 for client in clients if done(client))
            if ready == len(clients):
                return
            if time.monotonic() > deadline:
                message = f"Only {ready} of {len(clients)} load clients {name} within {seconds:g} s."
                raise CommandError(message)
            await asyncio.sleep(_POLL_SECONDS)


@asynccontextmanager
async def running_load(network: Network) -> AsyncIterator[Load]:
    """A load client on the clients' side of the network; it ends with the context."""
    async with load_clients(prefix=network.client_prefix, bind=network.client_address) as clients:
        yield Load(clients)
