"""Tones that say whose they are."""

from __future__ import annotations

import array
import math
from fractions import Fraction
from typing import Final

import av

SAMPLE_RATE: Final = 48_000
FRAME_SAMPLES: Final = 960
"""20 ms, Opus's usual frame."""
_BASE: Final = 500.0
_STEP: Final = 90.0
_QUIET: Final = 1_000
"""Peak below which a frame counts as silence, of 32,767."""
_PEAK: Final = 12_000


def frequency_of(number: int) -> float:
    """Hertz of the tone of a number; none is a harmonic of another."""
    return _BASE + _STEP * number


def number_of(frequency: float) -> int:
    """Return the number whose tone is nearest to a frequency."""
    return max(0, round((frequency - _BASE) / _STEP))


class Tone:
    """A steady tone in frames of 20 ms; one second is computed once, since every frequency is a multiple of 10 Hz."""

    def __init__(self, number: int) -> None:
        step = 2 * math.pi * frequency_of(number) / SAMPLE_RATE
        second = array.array("h", (round(_PEAK * math.sin(step * index)) for index in range(SAMPLE_RATE)))
        raw = second.tobytes()
        self._frames = [raw[start : start + 2 * FRAME_SAMPLES] for start in range(0, len(raw), 2 * FRAME_SAMPLES)]
        self._silence = bytes(2 * FRAME_SAMPLES)

    def frame(self, index: int, *, silent: bool = False) -> av.AudioFrame:
        """Return the frame of this index."""
        frame = av.AudioFrame(format="s16", layout="mono", samples=FRAME_SAMPLES)
        frame.planes[0].update(self._silence if silent else self._frames[index % len(self._frames)])
        frame.sample_rate = SAMPLE_RATE
        frame.pts = index * FRAME_SAMPLES
        frame.time_base = Fraction(1, SAMPLE_RATE)
        return frame


def measure(frame: av.AudioFrame) -> float | None:
    """Return the frequency of a decoded frame (packed 16-bit samples) by its zero crossings; None: silence."""
    channels = len(frame.layout.channels)
    samples = array.array("h", bytes(frame.planes[0])[: 2 * channels * frame.samples])[::channels]
    if not samples or max(samples) < _QUIET:
        return None
    # Between the first and the last rising zero crossing there is a whole number of periods.
    rising = [index for index in range(1, len(samples)) if samples[index - 1] < 0 <= samples[index]]
    if len(rising) < 2:  # noqa: PLR2004 - a period has two ends
        return None
    return SAMPLE_RATE * (len(rising) - 1) / (rising[-1] - rising[0])
