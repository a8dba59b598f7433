"""A fuzzer for SDP offers that knows their structure and is led by what they reach of the parser.

Whatever is offered, the node answers or raises a typed error, in bounded time and memory; an answer fits its offer.
`python -m tests.support.sdp_fuzzer --seconds 60` runs it for so much CPU time and prints one JSON line; `make fuzz`
runs it too.
"""

import argparse
import json
import random
import re
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final

from media_plane.node.engine_port import session_parameters
from media_plane.node.sdp import Agreement, SdpError, agree, read_offer, write_answer
from media_plane.node.sdp.answer import NodeTransport
from media_plane.node.sdp.channels import OfferedChannels
from media_plane.node.sdp.grammar import MAX_BYTES, MAX_LINES
from media_plane.node.sdp.offer import RejectedMedia
from tests.support import sdp

OFFERS: Final = Path(__file__).parents[1] / "unit" / "media_plane" / "offers"
CORPUS: Final = Path(__file__).parents[2] / "media_plane" / "engine" / "fuzz" / "corpus" / "sdp.jsonl"
_PARSER: Final = str(Path("media_plane") / "node" / "sdp")
_TRANSPORT: Final = NodeTransport(
    ice_ufrag="node",
    ice_pwd="p" * 32,
    fingerprint=":".join(["AB"] * 32),
    port=5000,
    tcp_port=5001,
    addresses=["192.0.2.7", "::1"],
)

TIME_LIMIT: Final = 1.0
"""CPU-seconds for the largest offer that is allowed; a real one takes some milliseconds."""
MEMORY_LIMIT: Final = 64 << 20
"""Bytes at the peak for the same."""
_MEASURED: Final = 50
"""One execution in so many is measured for memory, which makes it several times slower."""
_MAX_KEPT: Final = 48_000
"""Characters of the corpus in the repository."""
_MAX_SEED: Final = 6_000
"""Characters of an input that is mutated further; long ones are slow and are made from short ones by repetition."""
_NUMBERS: Final = (0, 1, 9, 15, 16, 63, 64, 95, 96, 127, 128, 255, 65_535, 65_536, 2**31, 2**32 - 1, 2**32, 10**30)
_CHARACTERS: Final = ' :;,=*/~{}"\\\t\x00\x7f\x85\xa0\u0661\u2028\ufeff\U0001f600\ud800\u017f\u0130'
_WORDS: Final = (
    *("a=mid:0", "a=mid:", "a=rtcp-mux", "a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive", "a=bundle-only"),
    *("a=group:BUNDLE 0 0", "a=group:LS 0 1", "a=group:", "a=setup:active", "a=setup:passive", "a=setup:holdconn"),
    *("a=rid:q send", "a=rid:q recv", "a=rid:f send pt=96;max-width=1", "a=simulcast:send q;h recv f", "a=simulcast:"),
    *("a=simulcast:send ~q,h;f", "a=simulcast:recv q send q", "a=ssrc-group:FID 1 1", "a=ssrc-group:SIM 1 2 3"),
    *("a=ssrc:1", "a=ssrc:4294967296 cname:x", "a=rtpmap:96 rtx/90000", "a=fmtp:96 apt=96", "a=fmtp:97 apt=97"),
    *("a=rtpmap:96 red/48000/2", "a=fmtp:96 96/96", "a=fmtp:96 " + ";" * 200, "a=rtcp-fb:* nack pli", "a=rtcp-fb:96 "),
    *("a=extmap:0 urn:x", "a=extmap:15 urn:ietf:params:rtp-hdrext:sdes:mid", "a=extmap:4096/sendonly urn:x a b"),
    *("a=ice-lite", "a=candidate:1 1 udp 1 x.local 9 typ host", "a=fingerprint:sha-512 AA", "a=fingerprint:sha-256 "),
    *(
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "a=sctp-port:5000",
        "a=max-message-size:262144",
        "m=audio 0 RTP/AVP 0",
        "m=video 9 X \u0661",
    ),
    *("m=audio 9/2 UDP/TLS/RTP/SAVPF 111 111", "v=0", "b=AS:0", "t=0 0", "k=clear:", "a=", "=", "m="),
)

Mutation = Callable[[random.Random, list[str], list[str]], None]


def _replace_number(source: random.Random, lines: list[str], _: list[str]) -> None:
    place = source.randrange(len(lines))
    numbers = list(re.finditer(r"[0-9]+", lines[place]))
    if numbers:
        match, near = source.choice(numbers), source.randint(-2, 2)
        value = source.choice(_NUMBERS) if source.random() < 0.5 else max(0, int(match[0][:40]) + near)
        lines[place] = f"{lines[place][: match.start()]}{value}{lines[place][match.end() :]}"


def _change_character(source: random.Random, lines: list[str], _: list[str]) -> None:
    place = source.randrange(len(lines))
    spot = source.randrange(len(lines[place]) + 1)
    character = source.choice(_CHARACTERS) if source.random() < 0.5 else chr(source.randrange(0x20, 0x7F))
    lines[place] = lines[place][:spot] + character + lines[place][spot + source.randrange(2) :]


def _cut_line(source: random.Random, lines: list[str], _: list[str]) -> None:
    place = source.randrange(len(lines))
    lines[place] = lines[place][: source.randrange(len(lines[place]) + 1)]


def _swap_tokens(source: random.Random, lines: list[str], _: list[str]) -> None:
    """Put a token of one line into another: the same names and numbers at places that contradict each other."""
    one, other = source.randrange(len(lines)), source.randrange(len(lines))
    tokens, others = re.split(r"([ :;=/,])", lines[one]), re.split(r"[ :;=/,]", lines[other])
    tokens[source.randrange(len(tokens))] = source.choice(others)
    lines[one] = "".join(tokens)


def _drop_lines(source: random.Random, lines: list[str], _: list[str]) -> None:
    place = source.randrange(len(lines))
    del lines[place : place + source.choice((1, 1, 1, 2, 8))]


def _insert_word(source: random.Random, lines: list[str], _: list[str]) -> None:
    lines.insert(source.randrange(len(lines) + 1), source.choice(_WORDS))


def _move_line(source: random.Random, lines: list[str], _: list[str]) -> None:
    lines.insert(source.randrange(len(lines)), lines.pop(source.randrange(len(lines))))


def _splice(source: random.Random, lines: list[str], other: list[str]) -> None:
    """Take a stretch of another offer, a whole section if it falls so."""
    starts = [place for place, line in enumerate(other) if line.startswith("m=")] or [0]
    start = source.choice(starts) if source.random() < 0.5 else source.randrange(len(other))
    end = min(len(other), start + source.choice((1, 2, 5, 20, 60)))
    place = source.randrange(len(lines) + 1)
    lines[place:place] = other[start:end]


def _repeat(source: random.Random, lines: list[str], _: list[str]) -> None:
    """Repeat some lines up to the limits, all alike or with numbers that count up."""
    start = source.randrange(len(lines))
    stretch = lines[start : start + source.choice((1, 1, 2, 30))]
    size = sum(len(line) + 2 for line in stretch)
    room = max(0, MAX_BYTES - sum(len(line) + 2 for line in lines))
    times = min(source.choice((2, 8, 64, 1_000, MAX_LINES)), room // max(1, size + 6), MAX_LINES // len(stretch))
    counting = source.random() < 0.7
    repeated = (_counted(line, number) if counting else line for number in range(times) for line in stretch)
    lines[start:start] = list(repeated)


def _counted(line: str, number: int) -> str:
    return re.sub(r"[0-9]{1,20}", lambda match: str(int(match[0]) + number), line, count=2)


def _lengthen(source: random.Random, lines: list[str], _: list[str]) -> None:
    place = source.randrange(len(lines))
    tail = lines[place][source.randrange(len(lines[place]) + 1) :] or "x"
    lines[place] += tail * min(source.choice((2, 60, 2_000)), 4_096 // len(tail) + 1)


MUTATIONS: Final[tuple[Mutation, ...]] = (
    *(_replace_number, _swap_tokens, _insert_word, _change_character) * 3,
    *(_cut_line, _drop_lines, _move_line, _splice) * 2,
    _lengthen,
    _repeat,
)


@dataclass(slots=True)
class Coverage:
    """Which steps from line to line of the parser have been made."""

    steps: set[tuple[str, int, int]] = field(default_factory=set)

    def of(self, offer: str) -> bool:
        """Check an offer; return whether that made a step that had not been made before."""
        before = len(self.steps)
        sys.settrace(self._enter)
        try:
            check(offer)
        finally:
            sys.settrace(None)
        return len(self.steps) > before

    def _enter(self, frame: FrameType, _event: str, _argument: object) -> Any:  # noqa: ANN401 - a trace function
        if _PARSER not in frame.f_code.co_filename:
            return None
        name, last, steps = frame.f_code.co_filename, 0, self.steps

        def line(frame: FrameType, event: str, _argument: object) -> Any:  # noqa: ANN401 - as above
            nonlocal last
            if event == "line":
                steps.add((name, last, frame.f_lineno))
                last = frame.f_lineno
            return line

        return line


@dataclass(slots=True)
class Fuzzer:
    """Makes offers from offers; those that reach something new are kept and mutated further."""

    seed: int
    corpus: list[str] = field(default_factory=list)
    coverage: Coverage = field(default_factory=Coverage)
    executions: int = 0
    _source: random.Random = field(init=False)

    def __post_init__(self) -> None:
        """Begin with real offers and what former runs have found."""
        self._source = random.Random(self.seed)  # noqa: S311 - a fuzzer, not a secret
        for offer in (*real_offers(), *kept()):
            self.execute(offer)

    def execute(self, offer: str) -> None:
        """Try one offer; it is kept if it reaches something new."""
        self.executions += 1
        if self.coverage.of(offer) and len(offer) <= _MAX_SEED:
            self.corpus.append(offer)
        if self.executions % _MEASURED == 0:
            check_cost(offer)

    def mutated(self) -> str:
        """Make a new offer."""
        source = self._source
        lines = source.choice(self.corpus).split("\r\n")
        for _ in range(source.choice((1, 1, 2, 3, 6))):
            other = source.choice(self.corpus).split("\r\n")
            source.choice(MUTATIONS)(source, lines, other)
            lines = lines or [""]
        return source.choice(("\r\n", "\r\n", "\r\n", "\n")).join(lines)


def real_offers() -> Iterator[str]:
    """Offers as browsers and str0m make them, and a small one."""
    for path in sorted(OFFERS.glob("*.sdp")):
        offer = path.read_bytes().decode()
        yield offer
        # The first section of each kind alone is short enough to be mutated often.
        session, *sections = re.split(r"(?m)^(?=m=)", offer)
        for section in sections[:2]:
            yield session + section
    yield sdp.offer(audio_slots=1, video_slots=1)


def kept() -> list[str]:
    """What former runs have kept."""
    return [json.loads(line) for line in CORPUS.read_text().splitlines()] if CORPUS.exists() else []


def check(text: str) -> None:
    """Offer this: an answer that fits, or a typed error that says where."""
    try:
        offer = read_offer(text)
        muted = {media.mid: False for media in offer.accepted[:12]}
        agreed = agree(offer, muted)
    except SdpError as error:
        _check_error(error, text)
        return
    _check_agreed(agreed)
    later = agree(offer, muted, former=agreed)
    assert later.has_same_media_as(agreed), "the same offer again changes nothing"
    _check_following(agreed, text)


def _check_following(agreed: Agreement, text: str) -> None:
    """Offer less, then the whole again: the session follows or goes on, and no slot has another's SSRCs."""
    for change in (_without_last, lambda text: text.replace("a=recvonly", "a=sendrecv"), _deactivated):
        try:
            offer = read_offer(change(text))
            agreed = agree(offer, {media.mid: False for media in offer.accepted[:12]}, former=agreed)
        except SdpError as error:
            _check_error(error, text)
            continue
        _check_agreed(agreed)
    ssrcs = [ssrc for slot in agreed.slots.values() for ssrc in (slot.ssrc, slot.rtx_ssrc) if ssrc is not None]
    assert len(set(ssrcs)) == len(ssrcs)


def _without_last(text: str) -> str:
    return re.sub(r"(?s)(.*)(^|\n)m=(\w+) \d+", r"\1\2m=\3 0", text, count=1)


def _deactivated(text: str) -> str:
    return text.replace("a=sendonly", "a=inactive", 1)


def _check_agreed(agreed: Agreement) -> None:
    answer = write_answer(agreed, _TRANSPORT)
    session_parameters(agreed, "someone")
    _check_answer(agreed, answer)


def _check_error(error: SdpError, text: str) -> None:
    assert str(error).isprintable()
    assert error.problem
    assert 0 <= error.line <= text.count("\n") + 1


def _check_answer(agreed: Agreement, answer: str) -> None:
    lines = answer.removesuffix("\r\n").split("\r\n")
    assert all(re.fullmatch(r"[a-z]=[^\x00-\x1f\x7f]*", line) for line in lines), answer
    sections = re.split(r"(?m)^(?=m=)", answer)[1:]
    assert len(sections) == len(agreed.offer.media), "an m-line for each of the offer (RFC 3264 section 6)"
    for section, media in zip(sections, agreed.media, strict=True):
        first, *rest = section.splitlines()
        kind, port, _, *formats = first.split(" ")
        assert (media.mid is None) or f"a=mid:{media.mid}" in rest
        offered = "application" if isinstance(media, OfferedChannels) else media.kind
        assert (kind, port == "0") == (f"m={offered}", isinstance(media, RejectedMedia))
        assert len(set(formats)) == len(formats) > 0, first
    assert read_offer(answer.replace("a=setup:passive", "a=setup:active")).accepted, "it is SDP itself"


def check_cost(text: str) -> None:
    """Offer this once more and look at what it costs."""
    began = time.process_time()
    check(text)
    assert time.process_time() - began < TIME_LIMIT
    tracemalloc.start()
    try:
        check(text)
        assert tracemalloc.get_traced_memory()[1] < MEMORY_LIMIT
    finally:
        tracemalloc.stop()


def keep(corpus: Sequence[str]) -> list[str]:
    """Write down few short inputs that together reach what all do; return them."""
    coverage = Coverage()
    for offer in real_offers():
        coverage.of(offer)
    reduced: list[str] = []
    for offer in sorted(set(corpus), key=lambda each: (len(each), each)):
        before = coverage.steps.copy()
        if coverage.of(offer):
            reduced.append(_shortened(offer, coverage.steps - before))
    size = 0
    lines = [json.dumps(offer) for offer in reduced if (size := size + len(offer)) <= _MAX_KEPT]
    CORPUS.write_text("".join(f"{line}\n" for line in lines))
    return reduced[: len(lines)]


def _shortened(offer: str, steps: AbstractSet[tuple[str, int, int]]) -> str:
    """Leave out lines, many at first, as long as the parser makes all of these steps."""
    lines = offer.split("\n")
    stretch = len(lines) // 2
    while stretch:
        place = 0
        while place < len(lines):
            fewer = lines[:place] + lines[place + stretch :]
            coverage = Coverage()
            coverage.of("\n".join(fewer))
            if steps <= coverage.steps:
                lines = fewer
            else:
                place += stretch
        stretch //= 2
    return "\n".join(lines)


def main() -> None:
    """Fuzz for a while."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="CPU time")
    parser.add_argument("--seed", type=int, default=time.time_ns())
    parser.add_argument("--findings", type=Path, default=CORPUS.parents[1] / "findings" / "sdp")
    options = parser.parse_args()
    fuzzer = Fuzzer(options.seed)
    findings: list[str] = []
    while time.process_time() < options.seconds and len(findings) < 5:
        offer = fuzzer.mutated()
        try:
            fuzzer.execute(offer)
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            options.findings.mkdir(parents=True, exist_ok=True)
            path = options.findings / f"{options.seed}-{fuzzer.executions}.json"
            path.write_text(json.dumps({"error": repr(error), "offer": offer}))
            findings.append(path.name)
    reduced = keep([*kept(), *fuzzer.corpus])
    line = {
        "target": "sdp",
        "cpu_seconds": round(time.process_time(), 1),
        "executions": fuzzer.executions,
        "findings": findings,
        "edges": len(fuzzer.coverage.steps),
        "corpus": len(reduced),
        "corpus_bytes": sum(map(len, reduced)),
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
