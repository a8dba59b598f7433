"""SDP-7: programs that add, stop and turn tracks on the RTCPeerConnection that they have, as RFC 8829 lets them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from tests.e2e.conftest import Invite, InviteWithFirefox
from tests.support.fleet import Fleet
from tests.support.participant import Participant
from tests.support.waiting import until

_PROGRAM: Final = (Path(__file__).parents[1] / "support" / "program.js").read_text()
_STEADY_SECONDS: Final = 2.0
"""Nothing that was there before may come to a stop for longer."""
_CAMERA, _SCREEN = 320, 640
"""Widths, by which the pictures are told apart."""
_SOUND, _PICTURE, _MORE = 2, 3, 4
"""Places of m-lines: the microphone and the camera, one slot of each kind, and the next."""

_SHARE: Final = """
  bob.screen = bob.peer.addTransceiver(programTest.picture(640, 360), { direction: 'sendonly' });
  bob.sources.set(bob.screen, 'SCREEN');
  await bob.renegotiate();
"""

pytestmark = pytest.mark.timeout(180)


class Programs:
    """Two programs in one page that are in a meeting together."""

    def __init__(self, person: Participant) -> None:
        self._person = person

    async def start(self, url: str) -> None:
        """Have both join, each with a microphone, a camera, and a slot for those of the other."""
        await self._person.visit(f"{url}/sign-in")
        await self.run(_PROGRAM)
        await self.run("""
          const { Program, picture, signIn, meeting } = programTest;
          const token = await signIn(), name = await meeting(token);
          for (const key of ['ann', 'bob']) {
            const program = window[key] = new Program();
            const sound = await navigator.mediaDevices.getUserMedia({ audio: true });
            program.send('MICROPHONE', sound.getAudioTracks()[0]);
            program.send('CAMERA', picture(320, 180));
            program.receive('audio');
            program.receive('video');
            await program.join(name, token);
          }
        """)

    async def run(self, script: str) -> Any:  # noqa: ANN401 - whatever it returns
        """Run statements in the page."""
        return await self._person.evaluate(f"(async () => {{ {script} }})()")

    async def comes(self, who: str, place: int, width: int | None = None) -> None:
        """Wait until more comes on an m-line, of a picture of this width if it is given."""
        before = await self.run(f"return (await {who}.came({place})).count")
        await until(
            lambda: self.run(f"return await {who}.came({place})"),
            lambda came: came["count"] > before + 10 and width in {None, came["width"]},
            within=30,
            what=f"{width or 'something'} comes to {who} on m-line {place}",
        )

    async def ends(self, who: str, place: int) -> None:
        """Wait until nothing comes on an m-line for a second."""

        async def more() -> int:
            before: int = await self.run(f"return (await {who}.came({place})).count")
            await asyncio.sleep(1)
            now: int = await self.run(f"return (await {who}.came({place})).count")
            return now - before

        await until(more, lambda count: count == 0, what=f"{who}'s m-line {place} is empty")

    async def go_on(self) -> None:
        """Assert that nothing that both have had from the beginning has stopped."""
        for who in ("ann", "bob"):
            waits = await self.run(f"return {who}.waits()")
            assert len(waits) == 2
            assert max(waits.values()) < _STEADY_SECONDS, f"seconds that {who} has waited, by m-line: {waits}"
            await self.comes(who, _SOUND)
            await self.comes(who, _PICTURE, _CAMERA)


@pytest_asyncio.fixture(loop_scope="session", params=["chromium", "firefox"])
async def programs(
    request: pytest.FixtureRequest, invite: Invite, invite_with_firefox: InviteWithFirefox, fleet: Fleet
) -> AsyncIterator[Programs]:
    person = await (invite(1) if request.param == "chromium" else invite_with_firefox(1, name="Ann"))
    programs = Programs(person)
    await programs.start(fleet.url)
    for who in ("ann", "bob"):
        await programs.comes(who, _SOUND)
        await programs.comes(who, _PICTURE, _CAMERA)
        await programs.run(f"{who}.watch({_SOUND}, {_PICTURE})")
    yield programs


async def test_tracks_and_slots_come_and_go_on_one_connection(programs: Programs) -> None:
    before = await programs.run("return [ann.identity(), bob.identity()]")
    ssrcs = await programs.run(f"return [(await ann.came({_PICTURE})).ssrc, (await bob.came({_PICTURE})).ssrc]")
    assert [state for state, *_ in before] == ["connected"] * 2

    # Ann has a second slot; Bob has one and shares a screen, both by one offer.
    await programs.run("ann.receive('video'); await ann.renegotiate()")
    await programs.run(f"bob.receive('video'); {_SHARE}")
    await programs.comes("ann", _MORE, _SCREEN)
    await programs.go_on()

    # Ann's goes where she has only received before, as browsers do it by themselves; she receives on.
    await programs.run("ann.screen = ann.send('SCREEN', programTest.picture(640, 360)); await ann.renegotiate()")
    assert await programs.run("return ann.screen.currentDirection") == "sendrecv"
    await programs.comes("bob", _MORE, _SCREEN)
    await programs.go_on()

    assert await programs.run("return [ann.identity(), bob.identity()]") == before
    after = await programs.run(f"return [(await ann.came({_PICTURE})).ssrc, (await bob.came({_PICTURE})).ssrc]")
    assert after == ssrcs, "the SSRC of a slot never changes"

    # Bob stops: Ann's slot is empty, and his next screen takes the place of the m-line.
    await programs.run("bob.screen.stop(); await bob.renegotiate()")
    await programs.ends("ann", _MORE)
    await programs.go_on()
    await programs.run(_SHARE)
    await programs.comes("ann", _MORE, _SCREEN)
    await programs.go_on()


async def test_ice_restarts_with_another_track(programs: Programs) -> None:
    before = await programs.run("return bob.identity()")
    await programs.run("ann.receive('video'); await ann.renegotiate()")
    await programs.run(f"bob.peer.restartIce(); {_SHARE}")
    await programs.comes("ann", _MORE, _SCREEN)
    await programs.go_on()
    after = await programs.run("return bob.identity()")
    assert after[0] == "connected"
    assert after[1] != before[1]
    assert after[2] != before[2]


async def test_a_track_of_three_encodings_pauses_and_goes_on(programs: Programs) -> None:
    await programs.run("ann.receive('video'); await ann.renegotiate()")
    await programs.run("""
      const sendEncodings = [['q', 4], ['h', 2], ['f', 1]].map(
        ([rid, scaleResolutionDownBy]) => ({ rid, scaleResolutionDownBy }));
      const track = programTest.picture(1280, 720);
      bob.screen = bob.peer.addTransceiver(track, { direction: 'sendonly', sendEncodings });
      bob.sources.set(bob.screen, 'SCREEN');
      await bob.renegotiate();
    """)
    await programs.comes("ann", _MORE)
    for _ in range(2):
        await programs.run("bob.screen.direction = 'inactive'; await bob.renegotiate()")
        await programs.ends("ann", _MORE)
        await programs.run("bob.screen.direction = 'sendonly'; await bob.renegotiate()")
        await programs.comes("ann", _MORE)
    await programs.go_on()
