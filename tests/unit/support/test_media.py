"""The pictures of the browser and bot tests can be read again after a codec has had them."""

import wave
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from tests.support.media import HEIGHT, WIDTH, Mark, paint, read_frame, read_luma, tone_frequency, write_tone


@pytest.mark.parametrize("mark", [Mark(0, 0), Mark(1, 255), Mark(21, 170), Mark(63, 128)])
def test_a_painted_mark_reads_back(mark: Mark) -> None:
    assert read_luma(paint(mark), WIDTH, WIDTH, HEIGHT) == mark


def test_a_plain_picture_has_no_mark() -> None:
    assert read_luma(bytes([120]) * WIDTH * HEIGHT, WIDTH, WIDTH, HEIGHT) is None


def test_a_damaged_mark_is_not_read_as_another() -> None:
    picture = bytearray(paint(Mark(5, 9)))
    cell = WIDTH // 16
    for row in range(HEIGHT):
        for column in range(5 * cell, 6 * cell):
            picture[row * WIDTH + column] = 255 - picture[row * WIDTH + column]
    assert read_luma(bytes(picture), WIDTH, WIDTH, HEIGHT) is None


def test_marks_survive_vp8_at_a_low_bit_rate() -> None:
    encoder = av.CodecContext.create("libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.bit_rate = WIDTH, HEIGHT, "yuv420p", 100_000
    encoder.time_base = Fraction(1, 20)
    decoder = av.CodecContext.create("vp8", "r")
    marks = [Mark(7, counter) for counter in range(30)]
    packets = [packet for index, mark in enumerate(marks) for packet in encoder.encode(_frame(mark, index))]
    frames = [frame for packet in [*packets, *encoder.encode(None)] for frame in decoder.decode(packet)]
    assert [read_frame(frame) for frame in frames] == marks


def test_the_tone_has_its_frequency(tmp_path: Path) -> None:
    with wave.open(str(write_tone(tmp_path / "tone.wav", 4))) as file:
        rate, data = file.getframerate(), file.readframes(file.getnframes())
    samples = memoryview(data).cast("h")
    rises = sum(1 for before, after in pairwise(samples) if before < 0 <= after)
    beeping = 0.5 * len(samples) / rate
    assert rises / beeping == pytest.approx(tone_frequency(4), rel=0.02)


def _frame(mark: Mark, index: int) -> av.VideoFrame:
    picture = paint(mark)
    frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    offset = 0
    for plane, width in zip(frame.planes, (WIDTH, WIDTH // 2, WIDTH // 2), strict=True):
        rows = [picture[offset + row * width :][:width].ljust(plane.line_size, b"\0") for row in range(plane.height)]
        plane.update(b"".join(rows))
        offset += width * plane.height
    frame.pts, frame.time_base = index, Fraction(1, 20)
    return frame
