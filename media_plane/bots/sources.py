"""What a bot sends: a camera or screen with a mark, a microphone with a tone."""

from __future__ import annotations

import asyncio
import time
from fractions import Fraction
from typing import Final

import av
from aiortc.mediastreams import MediaStreamTrack

from media_plane.bots.picture import COUNTERS, Painter
from media_plane.bots.tone import FRAME_SAMPLES, SAMPLE_RATE, Tone

_VIDEO_CLOCK: Final = 90_000


class PictureTrack(MediaStreamTrack):
    """A camera: marked pictures at a steady rate, none while it is muted."""

    kind = "video"

    def __init__(self, painter: Painter, frames_per_second: float, *, muted: bool) -> None:
        super().__init__()
        self._painter = painter
        self._interval = 1.0 / frames_per_second
        self._began = time.monotonic()
        self._next = self._began
        self._counter = 0
        self.painted: dict[int, float] = {}
        self._flows = asyncio.Event()
        self.mute(muted=muted)

    def mute(self, *, muted: bool) -> None:
        """Hold back or send."""
        if muted:
            self._flows.clear()
        else:
            self._flows.set()

    async def recv(self) -> av.VideoFrame:
        """Return the next picture when it is due."""
        await self._flows.wait()
        now = time.monotonic()
        self._next = max(self._next + self._interval, now)
        await asyncio.sleep(self._next - now)
        self._counter += 1
        frame = self._painter.paint(self._counter)
        self.painted[self._counter % COUNTERS] = time.monotonic()
        frame.pts = int((self._next - self._began) * _VIDEO_CLOCK)
        frame.time_base = Fraction(1, _VIDEO_CLOCK)
        return frame


class ToneTrack(MediaStreamTrack):
    """A microphone: a tone, nothing while it is muted, silence while it is quiet."""

    kind = "audio"

    def __init__(self, tone: Tone, *, muted: bool, quiet: bool) -> None:
        super().__init__()
        self._tone = tone
        self._began = time.monotonic()
        self._index = 0
        self._flows = asyncio.Event()
        self.quiet = quiet
        self.mute(muted=muted)

    def mute(self, *, muted: bool) -> None:
        """Hold back or send."""
        if muted:
            self._flows.clear()
        else:
            self._flows.set()

    async def recv(self) -> av.AudioFrame:
        """Return the next 20 ms when they are due."""
        await self._flows.wait()
        due = int((time.monotonic() - self._began) * SAMPLE_RATE / FRAME_SAMPLES)
        # After a pause it goes on at the present and does not send what was held back.
        self._index = max(self._index + 1, due - 1)
        await asyncio.sleep(self._began + self._index * FRAME_SAMPLES / SAMPLE_RATE - time.monotonic())
        return self._tone.frame(self._index, silent=self.quiet)
