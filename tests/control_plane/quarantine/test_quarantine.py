"""Records that can't be read or applied, on a real Redis: the others go on, and operators see and treat them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any, cast

import pytest

from control_plane.history.model import Stay
from control_plane.kernel.errors import DomainError
from control_plane.log.commands import prefix
from control_plane.log.participant import MediaStateEvent, ParticipantState, SessionKey
from control_plane.log.position import NodePosition
from control_plane.media.node_events import NodeEventApplier
from control_plane.nodes.control import NodeMessage, SpeakerEvent
from control_plane.nodes.rpc import NodeServicer
from control_plane.platform.set_aside import RecordKind
from parley.node.v1 import node_service_pb2 as pb
from tests.control_plane.conftest import Client, MakeReplica
from tests.support.live import FakeNode, MemoryDirectory, Replica, Watching, attendee, eventually, guest

MEETING, OTHER = "12345678901", "12345678902"


async def ids(replica: Replica) -> list[str]:
    return [record.id for record in await replica.part.keeper.list()]


async def until_connected(replica: Replica) -> None:
    for _ in range(500):
        (person,) = (await replica.view()).participants
        if person.state is ParticipantState.CONNECTED:
            return
        await asyncio.sleep(0.01)
    pytest.fail("what came after did not arrive")


async def append(client: Client, fields: dict[str, str | bytes]) -> str:
    position = str(await client.xadd(f"{prefix(MEETING)}log", fields))
    await client.hset(f"{prefix(MEETING)}meta", "last", position)
    return position


def reacted_or_ended(watching: Watching) -> bool:
    return bool(watching.reactions) or watching.task.done()


@pytest.mark.parametrize(
    "fields",
    [
        {"e": b"\x22\x7f", "r": "", "p": ""},
        {"e": b"\x22\x03\x0a\x01\xff", "r": "", "p": ""},
        {"e": b"\xff" * 12, "r": "", "p": ""},
        {"e": b"", "r": b"\xff", "p": ""},
        {"e": b"", "r": "", "p": b"\xc3"},
        {"event": "CgNhYmM="},
        {"s": b"\xfe"},
    ],
    ids=["cut off", "no UTF-8 in it", "no message", "recipient", "trace", "another form", "stream"],
)
async def test_an_event_that_can_not_be_read_is_passed_over_and_can_be_dropped(
    replica: Replica, client: Client, fields: dict[str, str | bytes]
) -> None:
    replica.part.start()
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    watching = Watching(replica, ana)
    position = await append(client, fields)
    await replica.part.reactions.react(attendee(ben), "1", "r1")
    resumed = Watching(replica, ana)

    for one in (watching, resumed):
        await eventually(partial(reacted_or_ended, one))
    assert resumed.reactions == ["1"]
    (name,) = await ids(replica)
    assert name == f"event~{MEETING}~{position}"
    assert replica.observer.counts["event set aside"] >= 1
    assert set(replica.part.tasks.faults.values()) == {0}

    await replica.part.keeper.drop(name)
    assert await ids(replica) == []
    log = f"{prefix(MEETING)}log"
    assert await replica.part.raw.xrange(log, position, position) == []
    await watching.stop()
    await resumed.stop()


async def test_a_log_of_another_form_keeps_no_other_from_being_read(
    replica: Replica, client: Client, directory: MemoryDirectory
) -> None:
    """A newer version may keep logs in another way; the loop reads all of them with one command."""
    directory.add(OTHER)
    replica.part.start()
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    zoe = await replica.join("Zoe", meeting_id=OTHER, caller=replace(guest("Zoe"), meeting_id=OTHER))
    here, elsewhere = Watching(replica, ana), Watching(replica, zoe)
    await eventually(lambda: here.messages or replica.part.log.watchers == 2)
    for kept in ("log", "participants"):
        await client.delete(f"{prefix(MEETING)}{kept}")
        await client.set(f"{prefix(MEETING)}{kept}", "of tomorrow")

    await replica.part.reactions.react(attendee(zoe), "1", "r1")
    await eventually(lambda: elsewhere.reactions)
    await replica.part.reactions.react(attendee(zoe), "2", "r2")
    await eventually(lambda: len(elsewhere.reactions) == 2)

    assert await replica.part.live.counts([MEETING, OTHER]) == {MEETING: 0, OTHER: 1}
    assert f"meeting~{MEETING}" in await ids(replica)
    assert replica.part.tasks.faults["event log"] == 0
    del ben
    for one in (here, elsewhere):
        await one.stop()


async def test_somebody_who_can_not_be_read_hides_nobody_and_leaves_like_others(
    replica: Replica, client: Client
) -> None:
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    document = await client.hget(f"{prefix(MEETING)}participants", ben.participant.id)
    broken = json.dumps({**json.loads(document or ""), "join_time": None}, separators=(",", ":"))
    await client.hset(f"{prefix(MEETING)}participants", ben.participant.id, broken)

    view = await replica.view(participant_id=ben.participant.id)
    assert [one.id for one in view.participants] == [ana.participant.id]
    assert view.occupied
    with pytest.raises(DomainError, match="PARTICIPANT_NOT_FOUND"):
        await replica.part.media.update_tracks(attendee(ben), [])
    assert await ids(replica) == [f"participant~{MEETING}~{ben.participant.id}"]

    for _ in range(70):
        replica.clock.move(1)
        await replica.part.presence.heartbeat(attendee(ana))
        await replica.part.sweeper.sweep()
    assert await replica.part.live.counts([MEETING]) == {MEETING: 1}


async def test_operators_can_put_somebody_out_who_can_not_be_read(replica: Replica, client: Client) -> None:
    ana = await replica.join("Ana")
    await client.hset(f"{prefix(MEETING)}participants", ana.participant.id, "{")
    view = await replica.view(participant_id=ana.participant.id)
    assert view.occupied

    await replica.part.keeper.retry(f"participant~{MEETING}~unknown")
    assert await ids(replica) == []
    with pytest.raises(DomainError, match="RECORD_NOT_FOUND"):
        await replica.part.keeper.drop(f"participant~{MEETING}~unknown")
    with pytest.raises(DomainError, match="PARTICIPANT_NOT_FOUND"):
        await replica.part.media.update_tracks(attendee(ana), [])
    await replica.part.keeper.drop(f"participant~{MEETING}~{ana.participant.id}")

    assert await replica.part.live.counts([MEETING]) == {MEETING: 0}


async def test_a_meetings_document_that_can_not_be_read_is_read_from_the_database(
    replica: Replica, client: Client
) -> None:
    await replica.join("Ana")
    await client.hset(f"{prefix(MEETING)}meta", "meeting", '{"number":1}')

    await replica.join("Ben")

    assert await ids(replica) == [f"meeting~{MEETING}"]


async def test_a_stay_that_can_not_be_read_or_written_holds_no_other_up(
    replica: Replica, client: Client, directory: MemoryDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreadable = await client.xadd(f"{prefix(MEETING)}history", {"d": "{", "l": "", "w": ""})
    record = directory.record

    async def refuse_eve(stays: list[Stay]) -> None:
        if any(stay.participant.display_name == "Eve" for stay in stays):
            message = "a NUL in a name, say"
            raise ValueError(message)
        await record(stays)

    monkeypatch.setattr(directory, "record", refuse_eve)
    eve, ana = await replica.join("Eve"), await replica.join("Ana")
    await replica.settle()

    assert ana.participant.id in directory.stays
    assert eve.participant.id not in directory.stays
    assert len(await ids(replica)) == 2
    assert f"stay~{MEETING}~{unreadable}" in await ids(replica)

    monkeypatch.setattr(directory, "record", record)
    (refused,) = [name for name in await ids(replica) if not name.endswith(str(unreadable))]
    await replica.part.keeper.retry(refused)
    await replica.part.keeper.drop(f"stay~{MEETING}~{unreadable}")

    assert eve.participant.id in directory.stays
    assert await ids(replica) == []
    assert await client.xlen(f"{prefix(MEETING)}history") == 0


async def test_many_stays_that_can_not_be_read_hold_no_other_up(
    replica: Replica, client: Client, directory: MemoryDirectory
) -> None:
    pipe = client.pipeline()
    for _ in range(450):  # more than two batches
        pipe.xadd(f"{prefix(MEETING)}history", {"d": "{", "l": "", "w": ""})
    await pipe.execute()
    ana = await replica.join("Ana")
    await replica.settle()

    assert ana.participant.id in directory.stays


async def test_something_a_node_said_that_can_not_be_applied_is_passed_over(
    replica: Replica, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = await replica.join("Ana")
    happened = NodeEventApplier._happened

    async def fail(self: NodeEventApplier, event: object) -> None:
        if isinstance(event.what, SpeakerEvent):  # type: ignore[attr-defined]
            raise KeyError("of_tomorrow")
        await happened(self, event)  # type: ignore[arg-type]

    monkeypatch.setattr(NodeEventApplier, "_happened", fail)
    replica.part.start()
    await eventually(lambda: node.watchers)
    node.happened(MEETING, SpeakerEvent("p"))
    key = SessionKey(ana.participant.session_id, ana.participant.id)
    node.happened(MEETING, MediaStateEvent(key, connected=True))

    await until_connected(replica)
    assert await ids(replica) == ["node_event~n1"]


async def test_a_fault_of_a_nodes_event_stream_is_counted_and_the_stream_opened_again(
    replica: Replica, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = await replica.join("Ana")
    watch = replica.nodes.watch
    faults = iter([ZeroDivisionError(), ZeroDivisionError()])

    def fail_twice(address: str, position: NodePosition | None) -> AsyncIterator[NodeMessage]:
        fault = next(faults, None)
        if fault is not None:
            raise fault
        return watch(address, position)

    monkeypatch.setattr(replica.nodes, "watch", fail_twice)
    replica.part.start()
    await eventually(lambda: node.watchers)

    assert replica.observer.counts["node event stream failed by ZeroDivisionError"] == 2
    key = SessionKey(ana.participant.session_id, ana.participant.id)
    node.happened(MEETING, MediaStateEvent(key, connected=True))
    await until_connected(replica)


async def test_a_node_of_a_newer_version_hides_no_other_and_keeps_its_state(
    replica: Replica, client: Client, node: FakeNode
) -> None:
    fields = await client.hgetall("parley:{placement}:node:n1")
    newer = {**fields, "state": "fenced", "capacity": "many", "zones": "3"}
    await client.hset("parley:{placement}:node:n9", mapping={**newer, "instance": "other"})
    await client.sadd("parley:{placement}:nodes", "n9", "n8")
    await client.hset("parley:{placement}:node:n1", mapping=newer)

    assert [one.registration.node_id for one in await replica.part.registry.nodes()] == ["n1", "n9"]
    await replica.report(node)
    await replica.part.turn("census of set-aside records")
    kept = await client.hgetall("parley:{placement}:node:n1")
    assert (kept["state"], kept["zones"]) == ("fenced", "3")

    await replica.register(node)
    await replica.join("Ana")


async def test_all_replicas_show_the_same_and_count_together(
    replica: Replica, make_replica: MakeReplica, client: Client
) -> None:
    other = make_replica()
    for one in (replica, other, other):
        one.part.quarantine.note(RecordKind.NODE_EVENT, "n1", KeyError("x"))
        await one.part.quarantine.flush()
        one.clock.move(1)

    for one in (replica, other):
        (record,) = await one.part.keeper.list()
        assert (record.count, (record.last_time - record.first_time).total_seconds()) == (3, 2)
        assert record.problem == "KeyError"

    replica.clock.move(8 * 24 * 3600)
    replica.part.quarantine.note(RecordKind.NODE_EVENT, "n2", KeyError("x"))
    assert await ids(replica) == ["node_event~n2"], "what nobody has met for a week is forgotten"
    assert {await client.pttl(f"parley:{{quarantine}}:{name}") > 0 for name in ("records", "counts", "times")} == {True}


async def test_a_fault_of_the_event_loop_itself_is_seen_and_mended(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    read = replica.part.log._read
    faults = iter([ZeroDivisionError(), ZeroDivisionError()])
    seen: list[bool] = []

    async def fail_twice() -> None:
        fault = next(faults, None)
        if fault is not None:
            raise fault
        await read()

    async def listen(name: str, healthy: bool) -> None:  # noqa: FBT001 - a listener
        if name == "event log":
            seen.append(healthy)

    monkeypatch.setattr(replica.part.log, "_read", fail_twice)
    replica.part.tasks.on_health(listen)
    watching = Watching(replica, ana)
    replica.part.start()
    await replica.part.reactions.react(attendee(ben), "1", "r1")

    await eventually(lambda: bool(watching.reactions))
    await replica.part.reactions.react(attendee(ana), "2", "r2")
    await eventually(lambda: seen == [True, False, True])
    assert replica.observer.counts["event log failed by ZeroDivisionError"] == 2
    await watching.stop()


async def test_what_a_node_reports_amiss_does_not_end_its_stream(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of its stream would be taken for the node's own."""
    servicer = NodeServicer(replica.part.reports, replica.part.quarantine)
    registration = pb.Registration(
        node="nodes/n7", instance_id="i", region="local", control_address="node-7:1", session_capacity=5
    )
    amiss = pb.ReportRequest(load_report=pb.LoadReport(sessions_opened=1))
    amiss.time.seconds = 10**15
    newer = pb.ReportRequest.FromString(b"\xfa\x07\x03abc")  # a message that only a newer version knows
    good = pb.ReportRequest(load_report=pb.LoadReport(sessions_opened=2))
    report = replica.part.registry.report
    faults = iter([ZeroDivisionError()])

    async def fail_once(*arguments: Any, **options: Any) -> object:  # noqa: ANN401 - whatever it takes
        fault = next(faults, None)
        if fault is not None:
            raise fault
        return await report(*arguments, **options)

    monkeypatch.setattr(replica.part.registry, "report", fail_once)

    async def said() -> AsyncIterator[pb.ReportRequest]:
        for request in (pb.ReportRequest(registration=registration), amiss, newer, good, good):
            yield request

    responses = [one async for one in servicer.Report(said(), cast("Any", None))]

    assert [one.WhichOneof("message") for one in responses] == ["configuration"]
    (record,) = await replica.part.keeper.list()
    assert (record.id, record.count) == ("node_event~n7", 2)
    fields = await replica.part.registry._fields("n7")
    assert fields["sessions_opened"] == "2"
