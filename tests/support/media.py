"""Media that a test can recognise on the far side: files for Chromium's devices, and a probe for its pages.

Pictures and tones are those of the bots (`media_plane.bots`), so that browsers and bots know each other's.
"""

import json
import math
import random
import struct
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from media_plane.bots import picture
from media_plane.bots.picture import HEIGHT, WIDTH, Mark, Painter
from media_plane.bots.tone import SAMPLE_RATE, frequency_of

__all__ = ["PROBE_SCRIPT", "SLIDES_NUMBER", "SLIDES_PAGE", "SLIDES_TITLE", "Mark", "write_tone", "write_video"]

_FRAME_RATE: Final = 20
_LOOP_FRAMES: Final = 200
"""Frames before the file begins again: ten seconds, fewer than the counter can count."""
_TONE_SECONDS: Final = 2
_BEEPS_A_SECOND: Final = 2
_PEAK: Final = 16_000
_GRAIN: Final = bytes(96 + value // 4 for value in range(256))
"""Luma of the grain, by a random byte: strong enough that no encoder at these bit rates gets all of it across."""


def write_video(path: Path, number: int, size: tuple[int, int] = (WIDTH, HEIGHT), *, grain: bool = False) -> Path:
    """Write the camera of participant `number` as a YUV4MPEG2 file, ten seconds for Chromium to loop.

    Args:
        path: Where to.
        number: Whose camera it is.
        size: Width and height.
        grain: Whether a part of the picture flickers, so that an encoder takes all the bits that it may have.
    """
    width, height = size
    painter = Painter(number, width, height)
    noise = random.Random(number)  # noqa: S311 - a picture that must repeat, not secrecy
    grained = width * (height // 4) if grain else 0
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F{_FRAME_RATE}:1 Ip A1:1 C420mpeg2\n".encode())
        for counter in range(_LOOP_FRAMES):
            flicker = noise.randbytes(grained).translate(_GRAIN)
            file.write(b"FRAME\n" + flicker + _planar(painter.paint(counter))[grained:])
    return path


def _planar(frame: Any) -> bytes:  # noqa: ANN401 - PyAV carries no types
    """The planes of a picture without the padding at the ends of their rows."""
    planes = []
    for plane in frame.planes:
        raw = bytes(plane)
        rows = (raw[row * plane.line_size :][: plane.width] for row in range(plane.height))
        planes.append(b"".join(rows))
    return b"".join(planes)


def write_tone(path: Path, number: int) -> Path:
    """Write the microphone of participant `number`: beeps, as noise suppression takes a steady tone for noise."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(b"".join(_beeps(frequency_of(number))))
    return path


def _beeps(frequency: float) -> Iterator[bytes]:
    for index in range(SAMPLE_RATE * _TONE_SECONDS):
        seconds = index / SAMPLE_RATE
        envelope = max(0.0, math.sin(2 * math.pi * _BEEPS_A_SECOND * seconds))
        yield struct.pack("<h", round(_PEAK * envelope * math.sin(2 * math.pi * frequency * seconds)))


_MARK: Final = {
    "cells": picture._CELLS,
    "counterBits": picture._COUNTER_BITS,
    "checkBits": picture._CHECK_BITS,
    "contrast": picture._MIN_CONTRAST,
    "bright": picture._WHITE,
    "dark": picture._BLACK,
}

PROBE_SCRIPT: Final = f"const PARLEY_MARK = {json.dumps(_MARK)};\n{Path(__file__).with_name('probe.js').read_text()}"
"""Runs in every page before its own scripts: `window.parleyTest` reads pictures and tones and counts offers."""

SLIDES_TITLE: Final = "Slides of the test"
SLIDES_NUMBER: Final = 60
SLIDES_PAGE: Final = f"""<!doctype html><title>{SLIDES_TITLE}</title>
<canvas width="640" height="360" style="width:100vw;height:100vh"></canvas>
<script>
  let counter = 0;
  setInterval(() => parleyTest.paint(document.querySelector('canvas'), {SLIDES_NUMBER}, counter++ % 256), 100);
</script>"""
"""A page that paints the same marks, for a participant to share as a tab."""
