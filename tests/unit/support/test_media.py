"""The files for Chromium's camera and microphone hold what browsers and bots look for."""

import wave
from itertools import pairwise
from pathlib import Path

import av
import pytest

from media_plane.bots.picture import HEIGHT, WIDTH, Mark, read_mark
from media_plane.bots.tone import frequency_of
from tests.support.media import write_tone, write_video


def test_the_camera_file_holds_marked_pictures_in_order(tmp_path: Path) -> None:
    with av.open(str(write_video(tmp_path / "camera.y4m", 5))) as file:
        frames = list(file.decode(video=0))
    assert (frames[0].width, frames[0].height) == (WIDTH, HEIGHT)
    assert [read_mark(frame) for frame in frames] == [Mark(5, counter) for counter in range(200)]


def test_the_microphone_file_beeps_at_its_frequency(tmp_path: Path) -> None:
    with wave.open(str(write_tone(tmp_path / "tone.wav", 4))) as file:
        rate, data = file.getframerate(), file.readframes(file.getnframes())
    samples = memoryview(data).cast("h")
    rises = sum(1 for before, after in pairwise(samples) if before < 0 <= after)
    beeping = 0.5 * len(samples) / rate
    assert rises / beeping == pytest.approx(frequency_of(4), rel=0.02)
