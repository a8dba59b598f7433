"""Media that a test can recognise on the far side: pictures that carry numbers and tones of known frequency.

A picture holds 16 bits in a row of cells: six for whose picture it is, eight for a counter that grows by one a frame,
two for a check. Each bit is written twice, once upright in the upper row and once inverted in the lower one, so that a
reader compares neighbours and needs no threshold: scaling, codecs and low bit rates leave the comparison alone.
"""

import colorsys
import json
import math
import struct
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

WIDTH: Final = 320
HEIGHT: Final = 180
FRAME_RATE: Final = 20
LOOP_FRAMES: Final = 200
"""Frames before the file begins again: ten seconds, fewer than the counter can count."""

_NUMBER_BITS: Final = 6
_COUNTER_BITS: Final = 8
_CHECK_BITS: Final = 2
_CELLS: Final = _NUMBER_BITS + _COUNTER_BITS + _CHECK_BITS
_WHITE: Final = 225
_BLACK: Final = 25
_MIN_CONTRAST: Final = 40

_SAMPLE_RATE: Final = 48_000
_TONE_SECONDS: Final = 2
_BEEPS_A_SECOND: Final = 2


@dataclass(frozen=True, slots=True)
class Mark:
    """What a picture says about itself."""

    number: int
    counter: int


def _bits(mark: Mark) -> list[bool]:
    value = (mark.number << _COUNTER_BITS) | mark.counter
    value = (value << _CHECK_BITS) | (value.bit_count() % 4)
    return [bool(value >> (_CELLS - 1 - index) & 1) for index in range(_CELLS)]


def _from_bits(bits: list[bool]) -> Mark | None:
    value = 0
    for bit in bits:
        value = value << 1 | bit
    payload, check = value >> _CHECK_BITS, value & (1 << _CHECK_BITS) - 1
    if payload.bit_count() % 4 != check:
        return None
    return Mark(number=payload >> _COUNTER_BITS, counter=payload & (1 << _COUNTER_BITS) - 1)


def paint(mark: Mark, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """Paint a picture as planar YUV 4:2:0 (I420), on a background whose colour goes with the number."""
    red, green, blue = colorsys.hsv_to_rgb((mark.number * 0.381966) % 1, 0.6, 0.6)
    luma = round(16 + 65.5 * red + 128.6 * green + 25 * blue)
    edges = [index * width // _CELLS for index in range(_CELLS + 1)]
    upper = b"".join(
        bytes([_WHITE if bit else _BLACK]) * (edges[index + 1] - edges[index]) for index, bit in enumerate(_bits(mark))
    )
    lower = bytes(_WHITE + _BLACK - value for value in upper)
    plain = bytes([luma]) * width
    quarter = height // 4
    rows = plain * quarter + upper * quarter + lower * quarter + plain * (height - 3 * quarter)
    chroma = (width + 1) // 2 * ((height + 1) // 2)
    blueness = round(128 - 37.8 * red - 74.2 * green + 112 * blue)
    redness = round(128 + 112 * red - 93.8 * green - 18.2 * blue)
    return rows + bytes([blueness]) * chroma + bytes([redness]) * chroma


def read_luma(luma: bytes | memoryview, stride: int, width: int, height: int) -> Mark | None:
    """Read the mark out of a luma plane; None when the picture carries none (or is too damaged to tell)."""
    bits: list[bool] = []
    for index in range(_CELLS):
        column = (2 * index + 1) * width // (2 * _CELLS)
        upper, lower = (_average(luma, stride, column, row, width) for row in (height * 3 // 8, height * 5 // 8))
        if abs(upper - lower) < _MIN_CONTRAST:
            return None
        bits.append(upper > lower)
    return _from_bits(bits)


def _average(luma: bytes | memoryview, stride: int, column: int, row: int, width: int) -> float:
    reach = max(1, width // _CELLS // 4)
    columns = range(column - reach, column + reach + 1)
    return sum(luma[y * stride + x] for y in (row - 1, row, row + 1) for x in columns) / (3 * len(columns))


def read_frame(frame: Any) -> Mark | None:  # noqa: ANN401 - PyAV carries no types
    """Read the mark out of a decoded `av.VideoFrame`."""
    plane = frame.reformat(format="yuv420p").planes[0]
    return read_luma(memoryview(plane), plane.line_size, frame.width, frame.height)


def write_video(path: Path, number: int) -> Path:
    """Write the camera of participant `number` as a YUV4MPEG2 file, ten seconds for Chromium to loop."""
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{FRAME_RATE}:1 Ip A1:1 C420mpeg2\n".encode())
        for counter in range(LOOP_FRAMES):
            file.write(b"FRAME\n" + paint(Mark(number, counter)))
    return path


def tone_frequency(number: int) -> float:
    """Hertz of the tone that participant `number` sends; no one's is a harmonic of another's."""
    return 500 + 90 * number


def write_tone(path: Path, number: int) -> Path:
    """Write the microphone of participant `number`: beeps, as noise suppression takes a steady tone for noise."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_SAMPLE_RATE)
        file.writeframes(b"".join(_beeps(tone_frequency(number))))
    return path


def _beeps(frequency: float) -> Iterator[bytes]:
    for index in range(_SAMPLE_RATE * _TONE_SECONDS):
        seconds = index / _SAMPLE_RATE
        envelope = max(0.0, math.sin(2 * math.pi * _BEEPS_A_SECOND * seconds))
        yield struct.pack("<h", round(16_000 * envelope * math.sin(2 * math.pi * frequency * seconds)))


_HERE: Final = Path(__file__).parent
_MARK: Final = {
    "cells": _CELLS,
    "counterBits": _COUNTER_BITS,
    "checkBits": _CHECK_BITS,
    "contrast": _MIN_CONTRAST,
    "bright": _WHITE,
    "dark": _BLACK,
}

PROBE_SCRIPT: Final = f"const PARLEY_MARK = {json.dumps(_MARK)};\n{(_HERE / 'probe.js').read_text()}"
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
