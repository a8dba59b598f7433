"""A UDP relay between a browser and a media node that loses, delays and limits as a bad network does.

`tc netem` is not to be had everywhere, and this needs no rights: a page's `setRemoteDescription` is told the relay's
port instead of the node's. Random choices come from a seed, so the same traffic meets the same fate.
"""

import asyncio
import random
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, cast

from playwright.async_api import BrowserContext

_SOCKET_BUFFER: Final = 4 << 20
_IP_UDP_OVERHEAD: Final = 28
"""Bytes of IPv4 and UDP headers, which a rate limit counts too."""
_MAX_PEERS: Final = 64
"""Source addresses a relay keeps apart: a browser gathers one or a few."""
_CANDIDATE: Final = re.compile(
    r"^(a=candidate:\S+ \d+ udp \d+) (\S+) (\d+) (typ host.*)$", re.IGNORECASE | re.MULTILINE
)

_ANY_CANDIDATE: Final = re.compile(r"^(a=candidate:.*?)(\r?\n)", re.IGNORECASE | re.MULTILINE)

_REWRITE: Final = """
(() => {
  const native = RTCPeerConnection.prototype.setRemoteDescription;
  RTCPeerConnection.prototype.setRemoteDescription = async function (description) {
    const sdp = await window.parleyRelay(description.sdp);
    return native.call(this, { type: description.type, sdp });
  };
})();
"""


@dataclass(frozen=True)
class Impairment:
    """What happens to the datagrams of one direction.

    Attributes:
        loss: Share lost, 0 to 1, each for itself; with `burst`, the long-run share.
        burst: Mean length of a run of losses in packets (Gilbert's model); 1: independent losses.
        delay: Seconds each datagram takes.
        jitter: Up to so many seconds more, without reordering.
        bits_per_second: Capacity, headers included; 0: no limit.
        queue_seconds: How long a datagram may wait for its turn; what would wait longer is lost.
    """

    loss: float = 0.0
    burst: float = 1.0
    delay: float = 0.0
    jitter: float = 0.0
    bits_per_second: float = 0.0
    queue_seconds: float = 0.3


CLEAR: Final = Impairment()


@dataclass
class Direction:
    """One direction of a relayed path.

    Attributes:
        impairment: What happens from now on.
        passed: Datagrams that got through.
        bytes_passed: Bytes of them, headers included.
        lost: Datagrams lost by chance.
        overflowed: Datagrams lost because the queue was full.
        waiting: Longest wait in the queue since it was last read, in seconds.
    """

    seed: int
    impairment: Impairment = CLEAR
    passed: int = 0
    bytes_passed: int = 0
    lost: int = 0
    overflowed: int = 0
    waiting: float = 0.0
    _random: random.Random = field(init=False)
    _in_burst: bool = False
    _free_at: float = 0.0
    _last_arrival: float = 0.0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - chance that must repeat, not secrecy

    def arrival(self, now: float, size: int) -> float | None:
        """When a datagram of `size` bytes that was sent now arrives; None: never."""
        rules = self.impairment
        if self._is_lost(rules):
            self.lost += 1
            return None
        departs = now
        if rules.bits_per_second:
            starts = max(now, self._free_at)
            if starts - now > rules.queue_seconds:
                self.overflowed += 1
                return None
            self.waiting = max(self.waiting, starts - now)
            departs = self._free_at = starts + (size + _IP_UDP_OVERHEAD) * 8 / rules.bits_per_second
        self.passed += 1
        self.bytes_passed += size + _IP_UDP_OVERHEAD
        arrival = departs + rules.delay + self._random.random() * rules.jitter
        self._last_arrival = max(arrival, self._last_arrival)
        return self._last_arrival

    def _is_lost(self, rules: Impairment) -> bool:
        if rules.loss <= 0:
            return False
        if rules.burst <= 1:
            return self._random.random() < rules.loss
        # Gilbert: bursts end with chance 1/length, and begin so often that the long-run share is `loss`.
        leave = 1 / rules.burst
        enter = leave * rules.loss / (1 - rules.loss)
        self._in_burst = self._random.random() >= leave if self._in_burst else self._random.random() < enter
        return self._in_burst


class _Upstream(asyncio.DatagramProtocol):
    """The socket towards the node that stands for one source address of the browser."""

    def __init__(self, relay: "Relay", client: tuple[str, int]) -> None:
        self._relay, self._client = relay, client
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # asyncio's own datagram transports do not derive from its interface of that name.
        self.transport = cast("asyncio.DatagramTransport", transport)
        _enlarge(self.transport)

    def send(self, data: bytes) -> None:
        """Send to the node; before the socket stands, a datagram is lost as on any path that is not there yet."""
        if self.transport:
            self.transport.sendto(data)

    def datagram_received(self, data: bytes, _address: Any) -> None:  # noqa: ANN401 - asyncio's signature
        """Pass on what the node sent."""
        self._relay.to_client(data, self._client)


class _Downstream(asyncio.DatagramProtocol):
    """The socket that the browser believes to be the node."""

    def __init__(self, relay: "Relay") -> None:
        self._relay = relay

    def datagram_received(self, data: bytes, address: Any) -> None:  # noqa: ANN401 - asyncio's signature
        """Pass on what the browser sent."""
        self._relay.to_node(data, address)


class Relay:
    """A relayed path between one browser and one port of a node.

    Attributes:
        up: From the browser to the node.
        down: From the node to the browser.
        port: Where the browser sends to, on loopback.
    """

    def __init__(self, node: tuple[str, int], seed: int = 1) -> None:
        self._node = node
        self.up, self.down = Direction(2 * seed), Direction(2 * seed + 1)
        self.port = 0
        self._downstream: asyncio.DatagramTransport | None = None
        self._upstreams: dict[tuple[str, int], _Upstream] = {}
        self._opening: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._closed = False

    async def open(self) -> "Relay":
        """Bind the port."""
        self._downstream, _ = await self._loop.create_datagram_endpoint(
            lambda: _Downstream(self), local_addr=("127.0.0.1", 0)
        )
        _enlarge(self._downstream)
        self.port = self._downstream.get_extra_info("sockname")[1]
        return self

    def close(self) -> None:
        """Close all sockets; what is still on its way is lost."""
        self._closed = True
        for upstream in self._upstreams.values():
            if upstream.transport:
                upstream.transport.close()
        if self._downstream:
            self._downstream.close()

    def rebind(self) -> None:
        """Make the browser appear at the node from new addresses, as after a change of network."""
        for upstream in self._upstreams.values():
            if upstream.transport:
                upstream.transport.close()
        self._upstreams.clear()

    def to_node(self, data: bytes, client: tuple[str, int]) -> None:
        """Take a datagram of the browser."""
        if client not in self._upstreams:
            if len(self._upstreams) >= _MAX_PEERS:
                return
            self._upstreams[client] = _Upstream(self, client)
            task = asyncio.ensure_future(self._connect(self._upstreams[client]))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        upstream = self._upstreams[client]
        self._later(self.up, data, lambda: upstream.send(data))

    def to_client(self, data: bytes, client: tuple[str, int]) -> None:
        """Take a datagram of the node."""
        if downstream := self._downstream:
            self._later(self.down, data, lambda: downstream.sendto(data, client))

    async def _connect(self, upstream: _Upstream) -> None:
        await self._loop.create_datagram_endpoint(lambda: upstream, remote_addr=self._node)

    def _later(self, direction: Direction, data: bytes, send: Callable[[], None]) -> None:
        now = time.monotonic()
        arrival = direction.arrival(now, len(data))
        if arrival is None:
            return
        if arrival <= now:
            send()
        else:
            self._loop.call_later(arrival - now, lambda: None if self._closed else send())


class Network:
    """The relays of one person's browser window; new ones are made for each answer the page accepts."""

    def __init__(self, seed: int = 1) -> None:
        self._seed = seed
        self.relays: list[Relay] = []
        self._up, self._down = CLEAR, CLEAR

    async def attach(self, context: BrowserContext) -> None:
        """Lead every connection that pages of this window make from now on through relays."""
        await context.expose_function("parleyRelay", self._rewrite)
        await context.add_init_script(_REWRITE)

    def impair(self, *, up: Impairment | None = None, down: Impairment | None = None) -> None:
        """Set what happens from now on; a direction not named keeps what it had."""
        self._up, self._down = up or self._up, down or self._down
        for relay in self.relays:
            relay.up.impairment, relay.down.impairment = self._up, self._down

    def close(self) -> None:
        """Close all relays."""
        for relay in self.relays:
            relay.close()

    @property
    def newest(self) -> Relay:
        """The relay of the page's latest connection."""
        return self.relays[-1]

    async def _rewrite(self, sdp: str) -> str:
        found = next(found for found in _CANDIDATE.finditer(sdp) if ":" not in found[2])
        relay = await Relay((found[2], int(found[3])), self._seed + len(self.relays)).open()
        relay.up.impairment, relay.down.impairment = self._up, self._down
        self.relays.append(relay)
        # A way around the relay would make the impairment meaningless.
        relayed = f"{found[1]} 127.0.0.1 {relay.port} {found[4].strip()}"
        return _ANY_CANDIDATE.sub(lambda line: relayed + line[2] if line[1] == found[0].strip() else "", sdp)


def _enlarge(transport: asyncio.DatagramTransport) -> None:
    plain = transport.get_extra_info("socket")
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        plain.setsockopt(socket.SOL_SOCKET, option, _SOCKET_BUFFER)
