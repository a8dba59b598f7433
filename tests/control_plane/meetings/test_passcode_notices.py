"""The host is told of a search for the meeting's passcode, and nobody else."""

from __future__ import annotations

from control_plane.meetings.events import passcode_guessed
from tests.support.live import HOST, Replica, Watching, eventually


async def test_hosts_who_are_in_the_meeting_are_told(replica: Replica) -> None:
    replica.part.start()
    host, ana = await replica.join("Hanna", caller=HOST), await replica.join("Ana")
    hosts, anas = Watching(replica, host), Watching(replica, ana)

    await replica.part.host_notices.passcode_guessed("12345678901", 50)
    await eventually(lambda: passcode_guessed(50) in hosts.events)
    ben = await replica.join("Ben")

    await eventually(lambda: any(ben.participant.id in repr(event) for event in anas.events))
    assert passcode_guessed(50) not in anas.events
    for stream in (hosts, anas):
        await stream.stop()


async def test_a_meeting_without_its_host_is_told_nothing(replica: Replica) -> None:
    ana = await replica.join("Ana")
    await replica.part.host_notices.passcode_guessed("12345678901", 50)
    await replica.part.host_notices.passcode_guessed("99999999999", 50)
    assert (await replica.view()).cursor == ana.view.cursor
