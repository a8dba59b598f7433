"""A short run of the fuzzer for SDP, and the offers that cost a parser most; `make fuzz` runs it for longer."""

from collections.abc import Iterable

import pytest

from media_plane.node.sdp.grammar import MAX_BYTES, MAX_LINES
from tests.support import sdp
from tests.support.sdp_fuzzer import Fuzzer, check, check_cost, kept, real_offers

_EXECUTIONS = 400


@pytest.mark.parametrize("seed", range(3))
def test_mutated_offers_get_an_answer_that_fits_or_a_typed_error(seed: int) -> None:
    fuzzer = Fuzzer(seed)
    reached = len(fuzzer.coverage.steps)
    for _ in range(_EXECUTIONS):
        fuzzer.execute(fuzzer.mutated())
    assert len(fuzzer.coverage.steps) >= reached > 300, "the parser is reached"


@pytest.mark.parametrize("offer", [pytest.param(offer, id=str(n)) for n, offer in enumerate([*real_offers(), *kept()])])
def test_what_long_runs_have_kept_still_passes(offer: str) -> None:
    check(offer)


def _filled(head: str, lines: Iterable[str]) -> str:
    """Append lines to an offer up to the limits."""
    room, left, text = MAX_BYTES - len(head), MAX_LINES - head.count("\n"), []
    for line in lines:
        room, left = room - len(line) - 2, left - 1
        if room < 0 or left < 1:
            break
        text.append(line + "\r\n")
    return head + "".join(text)


@pytest.mark.parametrize(
    "template",
    [
        "a=ssrc:{n} cname:x",
        "a=ssrc-group:FID {n} {m}",
        "a=ssrc-group:FID {n} {m}\r\na=ssrc:{m} x",
        "a=rtcp-fb:96 nack{n}",
        "a=rtcp-fb:{k} nack pli",
        "a=fmtp:{k} apt={k}",
        "a=extmap:{n} urn:x:{n}",
        "a=rid:{n} send",
        "a=group:BUNDLE {n}",
        "a=fingerprint:sha-256 " + ":".join(["0A"] * 32),
        "a=x{n}:{n}",
        "m=application 9 UDP/DTLS/SCTP {n}\r\na=mid:m{n}",
        "a=fmtp:111 " + ";" * 4_000,
        "a=simulcast:send " + ";".join("q" for _ in range(2_000)),
    ],
)
def test_the_largest_offers_cost_little(template: str) -> None:
    lines = (template.format(n=number, m=number + 500_000, k=96 + number % 32) for number in range(1, MAX_LINES))
    check_cost(_filled(sdp.offer(audio_slots=1, video_slots=1), lines))
