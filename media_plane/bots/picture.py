"""Pictures that say whose they are, and survive codecs and scaling.

A picture carries 16 bits in a row of cells: six for whose it is, eight for a counter that grows by one a frame and
two for a check. Each bit is written twice, upright in the upper row and inverted in the lower one, so that a reader
compares neighbours and needs no threshold. The background's colour goes with the number, for people who look on.
"""

from __future__ import annotations

import colorsys
from typing import Any, Final, NamedTuple

import av

WIDTH: Final = 320
HEIGHT: Final = 180
NUMBERS: Final = 64
"""How many pictures can be told apart."""

_NUMBER_BITS: Final = 6
_COUNTER_BITS: Final = 8
COUNTERS: Final = 1 << _COUNTER_BITS
"""How many pictures it takes until a counter comes again."""
_CHECK_BITS: Final = 2
_CELLS: Final = _NUMBER_BITS + _COUNTER_BITS + _CHECK_BITS
_WHITE: Final = 225
_BLACK: Final = 25
_MIN_CONTRAST: Final = 40


class Mark(NamedTuple):
    """What a picture says of itself: whose it is, and which one of theirs."""

    number: int
    counter: int


class Painter:
    """Paints the pictures of one number; what does not change from frame to frame is painted once."""

    def __init__(self, number: int, width: int = WIDTH, height: int = HEIGHT) -> None:
        """Prepare to paint.

        Args:
            number: 0 to 63.
            width: In pixels, even.
            height: In pixels, even.
        """
        self._number = number
        self._width = width
        self._height = height
        red, green, blue = colorsys.hsv_to_rgb((number * 0.381966) % 1, 0.6, 0.6)
        self._luma = round(16 + 65.5 * red + 128.6 * green + 25 * blue)
        self._chroma = (
            round(128 - 37.8 * red - 74.2 * green + 112 * blue),
            round(128 + 112 * red - 93.8 * green - 18.2 * blue),
        )
        self._edges = [index * width // _CELLS for index in range(_CELLS + 1)]

    def paint(self, counter: int) -> av.VideoFrame:
        """Return the picture with this counter (modulo 256)."""
        frame = av.VideoFrame(self._width, self._height, "yuv420p")
        upper = b"".join(
            bytes([_WHITE if bit else _BLACK]) * (self._edges[index + 1] - self._edges[index])
            for index, bit in enumerate(_bits(Mark(self._number, counter % (1 << _COUNTER_BITS))))
        )
        lower = bytes(_WHITE + _BLACK - value for value in upper)
        plane = frame.planes[0]
        padding = bytes(plane.line_size - self._width)
        plain = bytes([self._luma]) * self._width + padding
        quarter = self._height // 4
        rows = (plain, upper + padding, lower + padding, plain)
        counts = (quarter, quarter, quarter, plane.height - 3 * quarter)
        plane.update(b"".join(row * count for row, count in zip(rows, counts, strict=True)))
        for plane, value in zip(frame.planes[1:], self._chroma, strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        return frame


def read_mark(frame: av.VideoFrame) -> Mark | None:
    """Read a decoded picture; None: it carries no mark, or is too damaged to tell."""
    planar = frame if frame.format.name == "yuv420p" else frame.reformat(format="yuv420p")
    plane = planar.planes[0]
    luma = memoryview(plane)
    bits: list[bool] = []
    for index in range(_CELLS):
        column = (2 * index + 1) * frame.width // (2 * _CELLS)
        upper = _average(luma, plane.line_size, column, frame.height * 3 // 8)
        lower = _average(luma, plane.line_size, column, frame.height * 5 // 8)
        if abs(upper - lower) < _MIN_CONTRAST:
            return None
        bits.append(upper > lower)
    return _from_bits(bits)


def _average(luma: Any, stride: int, column: int, row: int) -> float:  # noqa: ANN401 - a memoryview without a type
    return sum(sum(luma[y * stride + column - 1 : y * stride + column + 2]) for y in (row - 1, row, row + 1)) / 9


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
    return Mark(payload >> _COUNTER_BITS, payload & (1 << _COUNTER_BITS) - 1)
