"""What Redis keeps has an end: a meeting's as the meeting, a node's as the node; nothing ends too early."""

from __future__ import annotations

import re

import pytest

from control_plane.log.commands import KEEP_EMPTY_MS, KEEP_ENDED_MS, prefix
from control_plane.log.participant import SessionKey
from control_plane.log.slots import SlotAssignment, TrackEncodings
from control_plane.media.model import MediaOffer
from control_plane.nodes.gauges import PENDING, SESSIONS
from control_plane.nodes.model import NodeEvent
from tests.control_plane.conftest import Client
from tests.support.live import TRACKS, FakeNode, FakeNodes, MemoryDirectory, Replica, attendee

MEETING = "12345678901"
DAY_MS = 24 * 3600 * 1000
LASTING = re.compile(
    r"parley:\{placement\}:(epoch|nodes|leases|node:.*|rooms:.*|pending:.*|lease:.*)|parley:live|parley:\{\d+\}:.*"
)
"""Keys that may have no time to live: those of nodes, of placements and of meetings that somebody is in."""


async def lifetimes(client: Client, pattern: str = "*") -> dict[str, int]:
    """Milliseconds that each key has left; -1: it lasts."""
    return {key: await client.pttl(key) for key in [key async for key in client.scan_iter(pattern)]}


async def of_meeting(client: Client) -> dict[str, int]:
    found = await lifetimes(client, f"{prefix(MEETING)}*")
    own = {"op", "rate", "history"}  # these have times of their own
    return {key: left for key, left in found.items() if key.removeprefix(prefix(MEETING)).split(":")[0] not in own}


async def test_what_is_kept_of_a_meeting_ends_with_it(replica: Replica, client: Client) -> None:
    ana = await replica.join("Ana")
    key = SessionKey(ana.participant.session_id, ana.participant.id)
    await replica.part.live_sessions.slots_changed(MEETING, key, [SlotAssignment("3", "p", "1")])
    await replica.part.live_sessions.encodings_changed(MEETING, key, [TrackEncodings("1", ("q",))])

    while_in = await of_meeting(client)
    assert {name.removeprefix(prefix(MEETING)) for name in while_in} == {
        "meta",
        "log",
        "participants",
        "presence",
        "sessions",
        "people",
        f"slots:{key.session_id}",
        f"encodings:{key.session_id}",
    }
    assert set(while_in.values()) == {-1}, "a call may take longer than a day, and its slots with it"

    await replica.part.presence.leave(attendee(ana))
    assert all(0 < left <= KEEP_EMPTY_MS for left in (await of_meeting(client)).values())

    await replica.join("Ben")
    assert set((await of_meeting(client)).values()) == {-1}

    await replica.part.live_presence.end(MEETING, "", operation="outbox:1")
    assert all(0 < left <= KEEP_ENDED_MS for left in (await of_meeting(client)).values())


@pytest.mark.parametrize("before", ["never", "left"])
@pytest.mark.parametrize("step", ["reserve", "withdraw", "vacate", "begin_end", "tidy", "session"])
async def test_what_is_written_of_a_meeting_that_nobody_is_in_has_an_end(
    replica: Replica, client: Client, step: str, before: str
) -> None:
    part = replica.part
    if before == "left":
        await replica.part.presence.leave(attendee(await replica.join("Ana")))
    match step:
        case "reserve":
            await part.places.reserve(MEETING, "p", "s", 10)
        case "withdraw":
            await part.live.withdraw(MEETING, "p", "s")
        case "vacate":
            await part.live_rooms.vacate(MEETING, 7)
        case "begin_end":
            await part.live_presence.begin_end(MEETING)
        case "tidy":
            await part.live_presence.tidy(MEETING)
        case _:
            await part.places.reserve(MEETING, "p", "s", 10)
            await part.live_sessions.slots_changed(MEETING, SessionKey("s", "p"), [SlotAssignment("3")])

    found = await of_meeting(client)
    assert found
    assert all(0 < left <= DAY_MS for left in found.values()), found


async def test_an_end_outlives_what_comes_late(replica: Replica, client: Client) -> None:
    await replica.join("Ana")
    await replica.part.live_presence.end(MEETING, "", operation="outbox:1")

    await replica.part.live.withdraw(MEETING, "p", "s")
    await replica.part.live_presence.tidy(MEETING)

    assert all(0 < left <= KEEP_ENDED_MS for left in (await of_meeting(client)).values())


async def test_sessions_of_joins_that_never_ended_are_forgotten_while_the_meeting_goes_on(
    replica: Replica, client: Client
) -> None:
    """A process that died in the middle of a join has taken nothing back."""
    ana = await replica.join("Ana")
    await replica.part.places.reserve(MEETING, "lost", "s-lost", 10)
    await replica.part.live_sessions.slots_changed(MEETING, SessionKey("s-lost", "lost"), [SlotAssignment("3")])
    for _ in range(8):
        replica.clock.move(9)
        await replica.part.presence.heartbeat(attendee(ana))
        await replica.part.sweeper.sweep()

    assert await client.hkeys(f"{prefix(MEETING)}sessions") == [ana.participant.session_id]
    assert await client.exists(f"{prefix(MEETING)}slots:s-lost") == 0


async def test_a_coming_session_is_not_forgotten(replica: Replica, client: Client) -> None:
    ana = await replica.join("Ana")
    await replica.part.live_sessions.begin_session(MEETING, ana.participant.id, "s-coming")
    await replica.part.places.reserve(MEETING, "ben", "s-ben", 10)

    await replica.part.live_presence.tidy(MEETING)

    assert set(await client.hkeys(f"{prefix(MEETING)}sessions")) == {ana.participant.session_id, "s-coming", "s-ben"}


async def test_what_was_seen_of_nodes_is_bounded(replica: Replica, client: Client) -> None:
    await replica.join("Ana")
    for number in range(100):
        await client.hset(f"{prefix(MEETING)}meta", f"node:instance-{number}", "7")

    await replica.part.live_presence.tidy(MEETING)

    assert not [name for name in await client.hkeys(f"{prefix(MEETING)}meta") if name.startswith("node:")]


async def test_gone_nodes_are_forgotten_and_lost_ones_later(
    replica: Replica, client: Client, node: FakeNode, nodes: FakeNodes
) -> None:
    others = {name: FakeNode(name, f"{name}:1") for name in ("gone", "lost", "back")}
    for one in others.values():
        nodes.by_address[one.address] = one
        nodes.connected.add(one.address)
        await replica.register(one)
    registry = replica.part.registry
    await registry.transition("gone", NodeEvent.SAID_GOODBYE)
    for name in ("lost", "back"):
        await registry.transition(name, NodeEvent.UNREACHABLE)
    await replica.part.turn("census of nodes")

    async def after(seconds: float) -> list[str]:
        replica.clock.move(seconds)
        await replica.report(node)
        await replica.part.turn("cleaning of live state")
        await replica.part.turn("census of nodes")
        return [one.registration.node_id for one in await registry.nodes()]

    assert await after(3599) == ["back", "gone", "lost", "n1"]
    assert await after(2) == ["back", "lost", "n1"]
    await replica.report(others["back"])
    assert await after(24 * 3600) == ["back", "n1"]
    assert not await lifetimes(client, "*:gone")
    assert not await lifetimes(client, "*:lost")
    assert nodes.connected == {"node-1:1", "back:1"}
    for gauge in (SESSIONS, PENDING):
        assert {sample.labels["node"] for metric in gauge.collect() for sample in metric.samples} == {"n1", "back"}

    await replica.register(others["gone"])
    assert "gone" in {one.registration.node_id for one in await registry.nodes()}


async def test_the_rooms_of_a_forgotten_node_are_placed_anew(replica: Replica, nodes: FakeNodes) -> None:
    second = FakeNode("n2", "node-2:1")
    nodes.by_address[second.address] = second
    ana = await replica.join("Ana")
    await replica.part.registry.transition("n1", NodeEvent.UNREACHABLE)
    replica.clock.move(24 * 3600 + 1)
    await replica.part.live.signalled(MEETING, ana.participant.id)
    await replica.register(second)
    assert await replica.part.registry.forget_gone() == 1

    assert await replica.part.rooms.move_void() == 1
    assert second.epochs.keys() == {MEETING}


async def test_after_everything_is_over_nothing_lasts(
    replica: Replica, client: Client, node: FakeNode, directory: MemoryDirectory
) -> None:
    """Calls with everything that a call has, joins that fail, and then a day."""
    replica.part.start()
    people = [await replica.join(name) for name in ("Ana", "Ben", "Eve")]
    ana, ben, eve = people
    await replica.part.media.renegotiate(attendee(ana), MediaOffer("again", TRACKS), "r2")
    await replica.part.reactions.react(attendee(ben), "1", "r1")
    node.refuse = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        await replica.join("Zoe")
    node.refuse = None
    await replica.part.places.reserve(MEETING, "lost", "s-lost", 10)
    await replica.part.presence.leave(attendee(eve))
    await replica.settle()
    during = {key for key, left in (await lifetimes(client)).items() if left == -1}
    assert {key for key in during if not LASTING.fullmatch(key)} == set()

    await replica.part.tasks.stop()
    for _ in range(600):
        replica.clock.move(2)
        await replica.part.sweeper.sweep()
    await replica.part.relay.run_once()
    await replica.part.sweeper.sweep()
    await replica.settle()
    await replica.part.registry.transition("n1", NodeEvent.SAID_GOODBYE)
    replica.clock.move(25 * 3600)
    await replica.part.turn("cleaning of live state")

    assert directory.meetings[MEETING].state.value == "ended"
    left_over = {key for key, left in (await lifetimes(client)).items() if left == -1}
    assert left_over <= {"parley:{placement}:epoch"}, "fencing epochs grow for ever, in one key"
