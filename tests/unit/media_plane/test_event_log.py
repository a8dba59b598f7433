"""The ring of node events."""

import asyncio

from media_plane.node.event_log import EventLog
from parley.sfu.v1 import media_pb2


def filled(count: int, capacity: int = 4) -> EventLog:
    log = EventLog(capacity)
    for _ in range(count):
        log.append(media_pb2.NodeEvent())
    return log


def test_events_are_numbered_and_the_oldest_are_dropped() -> None:
    log = filled(6)
    assert [event.sequence for event in log.after(2)] == [3, 4, 5, 6]
    assert [event.sequence for event in log.after(4)] == [5, 6]
    assert [event.sequence for event in log.after(2, limit=2)] == [3, 4]
    assert log.after(6) == []
    assert [log.holds_after(sequence) for sequence in (1, 2, 6, 7)] == [False, True, True, False]


def test_an_empty_log_holds_everything_after_nothing() -> None:
    assert EventLog().holds_after(0)
    assert not EventLog().holds_after(1)


async def test_waiting_ends_with_an_event_the_time_or_the_end() -> None:
    log = filled(1)
    assert await log.wait(0, 5)
    assert not await log.wait(1, 0.01)
    waiting = asyncio.create_task(log.wait(1, 5))
    await asyncio.sleep(0)
    log.append(media_pb2.NodeEvent())
    assert await waiting
    ending = asyncio.create_task(log.wait(2, 5))
    await asyncio.sleep(0)
    await log.close()
    assert await ending
    assert log.is_closed


async def test_the_end_comes_after_the_events_that_were_added_while_others_were_sent() -> None:
    log = filled(1)
    log.append(media_pb2.NodeEvent())
    await log.close()
    assert not log.ends_with(1), "a watcher that is being sent the first one has not heard of the second"
    assert log.ends_with(2)
    assert not filled(2).ends_with(2), "more may come"
