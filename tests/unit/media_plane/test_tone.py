"""Tones of bots say whose they are."""

import pytest

from media_plane.bots.tone import FRAME_SAMPLES, Tone, measure, number_of


@pytest.mark.parametrize("number", range(0, 64, 7))
def test_every_tone_can_be_told_by_any_of_its_frames(number: int) -> None:
    tone = Tone(number)
    for index in range(50):
        frequency = measure(tone.frame(index))
        assert frequency is not None
        assert number_of(frequency) == number


def test_silence_is_nobodys() -> None:
    assert measure(Tone(1).frame(0, silent=True)) is None
    assert Tone(1).frame(3).pts == 3 * FRAME_SAMPLES
