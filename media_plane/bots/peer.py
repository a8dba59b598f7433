"""A bot's media: offer, answer, what it sends and what it sees and hears. It knows no signalling."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from media_plane.bots.picture import HEIGHT, WIDTH, Mark, Painter, read_mark
from media_plane.bots.sources import PictureTrack, ToneTrack
from media_plane.bots.tone import Tone, measure, number_of

Source = Literal["microphone", "camera", "screen"]

_READ_EVERY: Final = 3
"""Of the pictures of a slot, every third is read; all are decoded."""
_LISTEN_EVERY: Final = 5
"""Of the 20 ms frames of a slot, every fifth is listened to."""
_FRESH_SECONDS: Final = 0.5
_POLL_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True)
class PeerOptions:
    """What a bot sends and how much it can show.

    Attributes:
        number: 0 to 63: what its pictures say and its tone sings; a shared screen says `number + 32` modulo 64.
        video_slots: Pictures it can show at a time.
        audio_slots: Voices it can play at a time.
        microphone: Whether the microphone starts unmuted.
        camera: Whether the camera starts unmuted.
        quiet: Whether the microphone sends silence instead of the tone.
        width: Of its picture.
        height: Of its picture.
        frames_per_second: Of its picture.
    """

    number: int
    video_slots: int = 9
    audio_slots: int = 3
    microphone: bool = True
    camera: bool = True
    quiet: bool = False
    width: int = WIDTH
    height: int = HEIGHT
    frames_per_second: float = 12.0


@dataclass(slots=True)
class SlotReport:
    """What came in a slot.

    Attributes:
        mid: The m-line's `a=mid`.
        kind: Audio or video.
        frames: Frames decoded.
        first_frame: When the first one was decoded (`time.monotonic`); None: not yet.
        last_frame: When the latest was decoded.
        mark: What the latest picture that was read says.
        mark_time: When that picture was decoded.
        heard: Whose tone was heard last; None: silence.
        marks: Every number that was seen, with the time of its first picture.
    """

    mid: str
    kind: Literal["audio", "video"]
    frames: int = 0
    first_frame: float | None = None
    last_frame: float | None = None
    mark: Mark | None = None
    mark_time: float | None = None
    heard: int | None = None
    marks: dict[int, float] = field(default_factory=dict)

    @property
    def is_fresh(self) -> bool:
        """Whether something came within the last half second."""
        return self.last_frame is not None and time.monotonic() - self.last_frame < _FRESH_SECONDS


class BotPeer:
    """A peer connection with the offer of a Parley client."""

    def __init__(self, options: PeerOptions) -> None:
        self.options = options
        self.slots: dict[str, SlotReport] = {}
        self.mids: dict[Source, str] = {}
        self.connected_at: float | None = None
        rate = options.frames_per_second
        self._camera = PictureTrack(
            Painter(options.number, options.width, options.height), rate, muted=not options.camera
        )
        self._screen = PictureTrack(
            Painter((options.number + 32) % 64, options.width, options.height), rate, muted=True
        )
        self._microphone = ToneTrack(Tone(options.number), muted=not options.microphone, quiet=options.quiet)
        self._connection: Any = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._connection.on("connectionstatechange", self._on_connection_state)
        self._readers: list[asyncio.Task[None]] = []

    @property
    def state(self) -> str:
        """State of the connection, as in WebRTC's RTCPeerConnectionState."""
        return str(self._connection.connectionState)

    @property
    def video(self) -> list[SlotReport]:
        """The video slots in the order of the offer."""
        return [slot for slot in self.slots.values() if slot.kind == "video"]

    @property
    def audio(self) -> list[SlotReport]:
        """The audio slots in the order of the offer."""
        return [slot for slot in self.slots.values() if slot.kind == "audio"]

    async def offer(self) -> str:
        """Make the offer: microphone, camera, screen, then audio slots, then video slots."""
        add = self._connection.addTransceiver
        sending = {
            "microphone": add(self._microphone, direction="sendonly"),
            "camera": add(self._camera, direction="sendonly"),
            "screen": add(self._screen, direction="sendonly"),
        }
        receiving = [add("audio", direction="recvonly") for _ in range(self.options.audio_slots)]
        receiving += [add("video", direction="recvonly") for _ in range(self.options.video_slots)]
        await self._connection.setLocalDescription(await self._connection.createOffer())
        self.mids = {source: transceiver.mid for source, transceiver in sending.items()}  # type: ignore[misc]
        self.slots = {each.mid: SlotReport(mid=each.mid, kind=each.kind) for each in receiving}
        return str(self._connection.localDescription.sdp)

    async def accept(self, answer: str) -> None:
        """Take the answer; the connection comes up by itself."""
        await self._connection.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
        for transceiver in self._connection.getTransceivers():
            slot = self.slots.get(transceiver.mid)
            if slot is not None:
                read = self._watch if slot.kind == "video" else self._listen
                self._readers.append(asyncio.create_task(read(transceiver.receiver.track, slot)))

    def mute(self, source: Source, *, muted: bool) -> None:
        """Hold a track back, or send it."""
        tracks: dict[Source, PictureTrack | ToneTrack] = {
            "microphone": self._microphone,
            "camera": self._camera,
            "screen": self._screen,
        }
        tracks[source].mute(muted=muted)

    def speak(self, *, speaking: bool) -> None:
        """Sing the tone, or send silence."""
        self._microphone.quiet = not speaking

    def seen(self) -> dict[str, int]:
        """Return whose moving picture each video slot shows now, by mid."""
        return {slot.mid: slot.mark.number for slot in self.video if slot.mark is not None and slot.is_fresh}

    def heard(self) -> set[int]:
        """Return whose tones are heard now."""
        return {slot.heard for slot in self.audio if slot.heard is not None and slot.is_fresh}

    async def wait_until(self, condition: Callable[[], bool], timeout_seconds: float = 10.0) -> None:
        """Wait until something is true of what came in.

        Raises:
            TimeoutError: It did not come true in time.
        """
        async with asyncio.timeout(timeout_seconds):
            while not condition():  # noqa: ASYNC110 - what is waited for comes from many tasks
                await asyncio.sleep(_POLL_SECONDS)

    def painted_at(self, counter: int) -> float | None:
        """Return when the camera painted its latest picture with this counter (`time.monotonic`)."""
        return self._camera.painted.get(counter)

    async def packets(self) -> tuple[int, int]:
        """Return RTP packets received and lost so far."""
        received = lost = 0
        for transceiver in self._connection.getTransceivers():
            if transceiver.mid not in self.slots:
                continue
            for each in (await transceiver.receiver.getStats()).values():
                if each.type == "inbound-rtp":
                    received += each.packetsReceived
                    lost += each.packetsLost
        return received, max(0, lost)

    async def close(self) -> None:
        """End the connection."""
        for task in self._readers:
            task.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        for track in (self._camera, self._screen, self._microphone):
            track.stop()
        await self._connection.close()

    def _on_connection_state(self) -> None:
        if self.state == "connected" and self.connected_at is None:
            self.connected_at = time.monotonic()

    async def _watch(self, track: Any, slot: SlotReport) -> None:  # noqa: ANN401 - aiortc carries no types
        try:
            while True:
                frame = await track.recv()
                _count(slot)
                if slot.mark is None or slot.frames % _READ_EVERY == 0:
                    mark = read_mark(frame)
                    if mark is not None:
                        slot.mark, slot.mark_time = mark, slot.last_frame
                        slot.marks.setdefault(mark.number, time.monotonic())
        except MediaStreamError:
            return

    async def _listen(self, track: Any, slot: SlotReport) -> None:  # noqa: ANN401
        try:
            while True:
                frame = await track.recv()
                _count(slot)
                if slot.frames % _LISTEN_EVERY == 0:
                    frequency = measure(frame)
                    slot.heard = number_of(frequency) if frequency is not None else None
        except MediaStreamError:
            return


def _count(slot: SlotReport) -> None:
    slot.frames += 1
    slot.last_frame = time.monotonic()
    if slot.first_frame is None:
        slot.first_frame = slot.last_frame
