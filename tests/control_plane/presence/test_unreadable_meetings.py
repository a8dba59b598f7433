"""A meeting that the database gives back in a form that this version cannot read is not swept at the others' cost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.live import MemoryDirectory, Replica, attendee, guest

UNREADABLE, OTHER = "12345678901", "12345678902"


async def test_the_sweep_goes_on_past_a_meeting_that_cannot_be_read(
    replica: Replica, directory: MemoryDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.add(OTHER)
    ana = await replica.join("Ana")
    await replica.part.presence.leave(attendee(ana))
    end_empty = directory.end_empty

    async def end(meeting_id: str) -> None:
        if meeting_id == UNREADABLE:
            message = "nobody foresaw this"
            raise TypeError(message)
        await end_empty(meeting_id)

    monkeypatch.setattr(directory, "end_empty", end)
    await pass_time(replica, 1_000)  # it is due to end now
    await replica.join("Zoe", meeting_id=OTHER, caller=replace(guest("Zoe"), meeting_id=OTHER))

    await pass_time(replica, 120)

    assert await replica.part.live.counts([OTHER]) == {OTHER: 0}, "silent for two minutes"
    (record,) = await replica.part.quarantine.records()
    assert (record.id, record.problem.partition(" ")[0]) == (f"meeting~{UNREADABLE}", "TypeError")
    assert record.count < 10, "it is looked at ever later"

    monkeypatch.setattr(directory, "end_empty", end_empty)
    await pass_time(replica, 120)
    assert await replica.part.quarantine.records() == []


async def pass_time(replica: Replica, seconds: int) -> None:
    for _ in range(seconds // 2):
        replica.clock.move(2)
        await replica.part.sweeper.sweep()
    for _ in range(5):
        replica.clock.move(0.5)
        await replica.part.sweeper.sweep()
