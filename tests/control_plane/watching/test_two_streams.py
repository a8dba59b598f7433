"""P7, TOK-4: two pages with the token of one participant, and one person with two devices."""

from __future__ import annotations

import asyncio

from control_plane.watching.service import GoAwayMessage, GoAwayReason
from tests.support.live import Replica, Watching, eventually, guest


async def test_pages_that_open_what_was_replaced_do_not_take_each_others_stream_for_ever(replica: Replica) -> None:
    """A client that doesn't heed REPLACED opens its stream anew at once, where it was."""
    replica.part.start()
    ana = await replica.join("Ana")
    opened: list[Watching] = []

    async def page() -> None:
        cursor = ana.view.cursor
        while True:
            watching = Watching(replica, ana, cursor=cursor)
            opened.append(watching)
            await watching.task
            assert watching.messages[-1].message == GoAwayMessage(GoAwayReason.REPLACED)
            cursor = watching.cursor

    pages = [asyncio.create_task(page()) for _ in range(2)]
    await eventually(lambda: len(opened) == 4)
    # The fourth waits for its turn, however often it asks, and the third goes on.
    for _ in range(3):
        replica.clock.move(1)
        await asyncio.sleep(0.6)
        assert (len(opened), opened[3].messages) == (4, [])
        assert not opened[2].task.done()
    replica.clock.move(6)
    await asyncio.wait_for(opened[2].task, 10)

    for one in pages:
        one.cancel()
    await asyncio.gather(*pages, return_exceptions=True)
    for watching in opened:
        await watching.stop()


async def test_a_connection_that_breaks_often_is_not_held_back(replica: Replica) -> None:
    replica.part.start()
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    for number in range(8):
        watching = Watching(replica, ana, cursor="")
        await eventually(lambda: watching.messages)  # noqa: B023 - awaited in this turn of the loop
        await replica.part.live_reactions.react("12345678901", ben.participant.id, "x", str(number))
        await eventually(lambda: watching.events)  # noqa: B023 - as above
        await watching.stop()
        replica.clock.move(1)


async def test_one_person_with_two_devices_is_in_twice(replica: Replica) -> None:
    """TOK-4: both stay, and everybody can see that they are the same person's."""
    ana = guest("Ana")
    laptop, phone = await replica.join("Ana", caller=ana), await replica.join("Ana", caller=ana)
    people = {one.id: one for one in (await replica.view()).participants}
    assert set(people) == {laptop.participant.id, phone.participant.id}
    assert people[laptop.participant.id].subject == people[phone.participant.id].subject
