"""The bots' pictures can be read again after a codec has had them, and damaged ones are not read as others."""

from fractions import Fraction

import av
import pytest

from media_plane.bots.picture import HEIGHT, WIDTH, Mark, Painter, read_mark


@pytest.mark.parametrize("mark", [Mark(0, 0), Mark(1, 255), Mark(21, 170), Mark(63, 128)])
@pytest.mark.parametrize("size", [(WIDTH, HEIGHT), (160, 90), (1280, 720)])
def test_a_painted_mark_reads_back(mark: Mark, size: tuple[int, int]) -> None:
    assert read_mark(Painter(mark.number, *size).paint(mark.counter)) == mark


def test_a_plain_picture_has_no_mark() -> None:
    frame = Painter(3).paint(4)
    frame.planes[0].update(bytes([120]) * frame.planes[0].buffer_size)
    assert read_mark(frame) is None


def test_a_damaged_mark_is_not_read_as_another() -> None:
    frame = Painter(5).paint(9)
    plane = frame.planes[0]
    picture = bytearray(plane)
    cell = WIDTH // 16
    for row in range(HEIGHT):
        for column in range(5 * cell, 6 * cell):
            at = row * plane.line_size + column
            picture[at] = 255 - picture[at]
    plane.update(bytes(picture))
    assert read_mark(frame) is None


def test_marks_survive_vp8_at_a_low_bit_rate() -> None:
    encoder = av.CodecContext.create("libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.bit_rate = WIDTH, HEIGHT, "yuv420p", 100_000
    encoder.time_base = Fraction(1, 20)
    decoder = av.CodecContext.create("vp8", "r")
    painter = Painter(7)
    packets = []
    for counter in range(30):
        frame = painter.paint(counter)
        frame.pts, frame.time_base = counter, encoder.time_base
        packets += encoder.encode(frame)
    frames = [frame for packet in [*packets, *encoder.encode(None)] for frame in decoder.decode(packet)]
    assert [read_mark(frame) for frame in frames] == [Mark(7, counter) for counter in range(30)]
