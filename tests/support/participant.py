"""What people in a meeting do and see through the web client, whatever their browser."""

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from media_plane.bots.tone import frequency_of
from tests.support.media import Mark
from tests.support.waiting import until


@dataclass(frozen=True, slots=True)
class Tile:
    """What one tile of the grid shows: a person, or the screen that a person shares."""

    participant: str
    name: str
    screen: bool
    video: bool
    area: int
    picture: Mark | None


@dataclass(frozen=True, slots=True)
class Followed:
    """How steadily a picture moved: how often it changed, and the longest time in seconds that it did not."""

    changes: int
    longest_freeze: float


@dataclass(frozen=True, slots=True)
class Steadiness:
    """How steadily a picture moved, by the frames that were presented.

    Attributes:
        seconds: Time watched.
        frames: New pictures in that time.
        freezes: Gaps of more than three usual ones, or 150 ms more than a usual one (as WebRTC's freezeCount counts);
            usual is the median, or the mean where the page was too busy to see each frame.
        frozen_share: Share of the time that lies in those gaps.
        unfilmed_share: Share of the time that lies in those after which the camera's very next picture is seen:
            the camera stood still, as where its machine is busy, and nothing was lost or late.
        longest_freeze: The longest of them in seconds.
    """

    seconds: float
    frames: int
    freezes: int
    frozen_share: float
    unfilmed_share: float
    longest_freeze: float


@dataclass(slots=True)
class Participant(ABC):
    """Somebody at a window, acting through what the web client shows."""

    number: int
    name: str
    console: list[str] = field(default_factory=list, kw_only=True)

    @property
    @abstractmethod
    def url(self) -> str:
        """Address that the window shows."""

    @property
    def tone(self) -> float:
        """Hertz of the microphone."""
        return frequency_of(self.number)

    @abstractmethod
    async def visit(self, url: str) -> None:
        """Open an address."""

    @abstractmethod
    async def press(self, name: str) -> None:
        """Press a button by its whole accessible name."""

    @abstractmethod
    async def fill(self, label: str, text: str) -> None:
        """Write into a field by its label."""

    @abstractmethod
    async def finds(self, name: str) -> None:
        """Wait for a button by its whole accessible name."""

    @abstractmethod
    async def evaluate(self, expression: str) -> Any:  # noqa: ANN401 - whatever the page answers
        """Evaluate a JavaScript expression in the page."""

    async def start_meeting(self, url: str) -> str:
        """Begin a new meeting from the home page and enter it; return the link for others."""
        await self.visit(url)
        await self.press("New meeting")
        await self.enter()
        return self.url

    async def join(self, link: str) -> None:
        """Follow a link, give a name and enter the meeting."""
        await self.visit(link)
        await self.enter()

    async def enter(self) -> None:
        """Pass the pre-join screen, and wait for the meeting."""
        await self.fill("Your name", self.name)
        await self.press("Join now")
        await self.finds("Leave")

    async def tiles(self) -> list[Tile]:
        """Read all tiles of the grid."""
        return [
            Tile(
                participant=tile["participant"] or "",
                name=tile["name"] or "",
                screen=tile["screen"],
                video=tile["video"],
                area=tile["area"],
                picture=Mark(**tile["picture"]) if tile["picture"] else None,
            )
            for tile in await self.evaluate("parleyTest.tiles()")
        ]

    async def names(self) -> set[str]:
        """Names on the people's tiles."""
        return {tile.name for tile in await self.tiles() if not tile.screen}

    async def pictures(self) -> dict[int, int]:
        """Counter of the picture seen of each participant number."""
        return {tile.picture.number: tile.picture.counter for tile in await self.tiles() if tile.picture}

    async def sees(self, other: "Participant", *, within: float = 15) -> None:
        """Wait until the other's own moving picture stands in the tile with the other's name."""
        seen: set[int] = set()

        async def moving() -> bool:
            for tile in await self.tiles():
                if tile.name == other.name and not tile.screen and tile.picture and tile.picture.number == other.number:
                    seen.add(tile.picture.counter)
            return len(seen) > 1

        await until(moving, within=within, what=f"{self.name} sees {other.name} move")

    async def sees_number(self, number: int, *, within: float = 15) -> None:
        """Wait until the moving picture with this number stands in any tile."""
        seen: set[int] = set()

        async def moving() -> bool:
            counter = (await self.pictures()).get(number)
            if counter is not None:
                seen.add(counter)
            return len(seen) > 1

        await until(moving, within=within, what=f"{self.name} sees picture {number} move")

    async def hears(self, other: "Participant", *, within: float = 15) -> None:
        """Wait until one of the received audio tracks carries the other's tone."""
        expected = other.tone
        await until(
            self.tones,
            lambda tones: any(abs(tone - expected) < 20 for tone in tones),
            within=within,
            what=f"{self.name} hears {expected} Hz of {other.name}",
        )

    async def tones(self) -> list[float]:
        """Hertz of the loudest tone on each received audio track that carries one now."""
        tones: list[float] = await self.evaluate("parleyTest.tones()")
        return tones

    async def offers(self) -> int:
        """How many SDP offers the page has made so far."""
        count: int = await self.evaluate("parleyTest.offers.length")
        return count

    async def connected(self) -> int:
        """Place of the newest peer connection that is connected among all that the page has made; -1: there is none."""
        place: int = await self.evaluate(
            "parleyTest.connections.findLastIndex(({ connectionState }) => connectionState === 'connected')"
        )
        return place

    async def follow(self, other: "Participant") -> None:
        """Begin to watch the other's picture for freezes."""
        await self.evaluate(f"parleyTest.follow({other.number})")

    async def followed(self, other: "Participant") -> Followed:
        """What was seen of the other since `follow`."""
        seen = await self.evaluate(f"parleyTest.followed({other.number})")
        return Followed(changes=seen["changes"], longest_freeze=seen["freeze"] / 1000)

    async def watch(self, other: "Participant") -> float:
        """Begin to note each new frame of the other's picture; for `steadiness`."""
        began: float = await self.evaluate(f"parleyTest.watch({other.number})")
        return began

    async def steadiness(self, other: "Participant", began: float) -> Steadiness:
        """How the other's picture moved since `watch`, which ends."""
        seen = await self.evaluate(f"parleyTest.steadiness({other.number}, {began})")
        return Steadiness(
            seconds=seen["elapsed"] / 1000,
            frames=seen["frames"],
            freezes=seen["freezes"],
            frozen_share=seen["frozen"] / seen["elapsed"],
            unfilmed_share=seen["unfilmed"] / seen["elapsed"],
            longest_freeze=seen["longest"] / 1000,
        )

    async def inbound(self) -> dict[str, float]:
        """Sums over what the page receives: samples, concealed, packets, lost, nacks, pictures, bytes, frozen (s)."""
        sums: dict[str, float] = await self.evaluate("parleyTest.inbound()")
        return sums

    async def height(self) -> int:
        """Lines of the largest picture of somebody else."""
        lines: int = await self.evaluate("parleyTest.height()")
        return lines

    async def encoding(self) -> set[str]:
        """RTP stream ids of the encodings of which frames are encoded, within a second."""
        before: dict[str, int] = await self.evaluate("parleyTest.encoded()")
        await asyncio.sleep(1)
        now: dict[str, int] = await self.evaluate("parleyTest.encoded()")
        return {rid for rid, frames in now.items() if frames > before.get(rid, 0)}
