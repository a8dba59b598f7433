"""Which way a browser's connection takes to the node, and a script that leaves it one way only."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.participant import Participant
from tests.support.waiting import until

_SCRIPT: Final = Path(__file__).with_name("reach.js").read_text()


@dataclass(frozen=True, slots=True)
class Way:
    """How a browser's newest connection reaches the node, and how long it took from the answer."""

    protocol: str
    type: str
    address: str
    state: str
    milliseconds: float | None
    connections: int


def limited(mode: str, dead_port: int = 9) -> str:
    """The script that lets a window reach the node in one way only, and tells which way it took."""
    return f"{_SCRIPT}; parleyReach.mode = '{mode}'; parleyReach.dead = {dead_port};"


@contextmanager
def dead_port() -> Iterator[int]:
    """A port that takes UDP and TCP and never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
        udp.bind(("127.0.0.1", 0))
        port: int = udp.getsockname()[1]
        tcp.bind(("127.0.0.1", port))
        tcp.listen()
        yield port


async def way_of(person: Participant) -> Way | None:
    """The way of the person's newest connection; None: there is none yet."""
    found = await person.evaluate("parleyReach.way()")
    return Way(**found) if found else None


async def comes_by(person: Participant, protocol: str, *, kind: str | None = None, within: float = 30) -> Way:
    """Wait until the person's connection stands and goes by this protocol, and from this kind of candidate."""

    def fits(way: Way | None) -> bool:
        return way is not None and (way.protocol, way.state) == (protocol, "connected") and kind in {None, way.type}

    what = f"{person.name} reaches the node by {protocol} {kind or ''}"
    way = await until(lambda: way_of(person), fits, within=within, what=what)
    assert way is not None
    return way
