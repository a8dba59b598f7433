"""Broken offers get an error that says what and where, or what of them can be used is used."""

import random
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_plane.node.engine_port import session_parameters
from media_plane.node.sdp import (
    SdpError,
    SdpInvalidError,
    SdpNotAcceptableError,
    read_offer,
    write_answer,
)
from tests.support.offers import (
    CHANNELS,
    CHROMIUM,
    SIMULCAST,
    SMALL,
    TRANSPORT,
    agreement,
    drop,
    sections,
    swap,
)


@pytest.mark.parametrize(
    ("change", "line", "problem"),
    [
        (lambda _: "", 0, "empty"),
        (lambda _: "hello", 1, "<letter>=<value>"),
        (swap("v=0", "v=1"), 1, "v=0"),
        (swap("s=-", "s=\x00"), 3, "control characters"),
        (swap("t=0 0", "\r\nt=0 0"), 4, "<letter>=<value>"),
        (swap("s=-", "s=" + "x" * 5000), 3, "longer than 4096"),
        (lambda sdp: sdp + "a=x\r\n" * 9000, 0, "more than 8192 lines"),
        (lambda sdp: sdp + "x" * 140_000, 0, "larger than 131072"),
        (lambda sdp: sdp + "m=audio 0 RTP/AVP 0\r\n" * 63, 90, "more than 64 m-lines"),
        (swap("m=video 9", "m=video 99999"), 10, "65535"),
        (swap("m=video 9", "m=video x"), 10, "m=<media>"),
        (swap("a=mid:1", "a=mid:0"), 24, "same a=mid"),
        (swap("a=sendonly", "a=sendonly\r\na=recvonly"), 10, "two directions"),
        (swap("a=ice-ufrag:abcd", "a=ice-ufrag:a"), 8, "RFC 8839"),
        (swap("0a:0a", "0a:zz"), 6, "32 bytes"),
        (
            lambda _: (
                CHANNELS.replace(" d\r\n", " d e\r\n")
                + CHANNELS[CHANNELS.index("m=application") :].replace("mid:d", "mid:e")
            ),
            0,
            "two m-lines",
        ),
    ],
)
def test_an_invalid_offer_is_refused_with_line_and_problem(
    change: Callable[[str], str], line: int, problem: str
) -> None:
    with pytest.raises(SdpInvalidError, match=re.escape(problem)) as caught:
        agreement(change(SMALL), {"0": False})
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("change", "line", "problem"),
    [
        (lambda _: "v=0\r\n", 0, "no m-line"),
        (drop("a=group"), 0, "BUNDLE"),
        (swap("BUNDLE 0 1", "LS 0 1"), 0, "BUNDLE"),
        (drop("a=mid"), 10, "without a=mid"),
        (drop("a=rtcp-mux"), 10, "rtcp-mux"),
        (drop("a=ice-ufrag"), 9, "ice-ufrag"),
        (drop("a=ice-pwd"), 9, "ice-pwd"),
        (drop("a=fingerprint"), 9, "fingerprint"),
        (swap("sha-256", "sha-1"), 10, "fingerprint"),
        (drop("a=setup"), 9, "setup"),
        (swap("actpass", "passive"), 7, "setup"),
        (swap("VP8/90000", "H265/90000"), 10, "VP8, VP9, H264"),
        (swap("UDP/TLS/RTP/SAVPF 96", "RTP/AVP 96"), 10, "protocol"),
        (swap("BUNDLE 0 1", "BUNDLE 1"), 10, "not in the BUNDLE group"),
        (swap("m=", "m=x"), 0, "no audio or video"),
        (swap("a=recvonly", "a=sendonly"), 22, "not among the offer's tracks"),
    ],
)
def test_an_offer_that_lacks_something_is_refused_with_line_and_problem(
    change: Callable[[str], str], line: int, problem: str
) -> None:
    with pytest.raises(SdpNotAcceptableError, match=re.escape(problem)) as caught:
        agreement(change(SMALL), {"0": False})
    assert caught.value.line == line


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda sdp: sdp + "\r\n", id="SDP-17-blank-line-at-the-end"),
        pytest.param(swap("a=rtcp-fb:*", "a=rtpmap:55 VP8/90000\r\na=rtcp-fb:*"), id="SDP-17-stray-rtpmap"),
        pytest.param(swap("a=rtcp-fb:*", "a=rtpmap:96 VP9/90000\r\na=rtcp-fb:*"), id="second-rtpmap"),
        pytest.param(swap("a=rtcp-fb:*", "a=rtpmap:96\r\na=rtcp-fb:*"), id="malformed-rtpmap"),
        pytest.param(swap("a=rtcp-fb:*", "a=rtcp-fb:x nack\r\na=rtcp-fb:*"), id="malformed-feedback"),
        pytest.param(swap("a=rtcp-fb:*", "a=fmtp:x y\r\na=rtcp-fb:*"), id="malformed-parameters"),
        pytest.param(swap("SAVPF 96 97", "SAVPF 96 97 96 72 x 200"), id="odd-payload-types"),
        pytest.param(swap("a=rtcp-fb:*", "a=extmap:0 urn:x\r\na=rtcp-fb:*"), id="SDP-5-extmap-0"),
        pytest.param(swap("a=rtcp-fb:*", "a=extmap:99999 urn:x\r\na=rtcp-fb:*"), id="SDP-5-extmap-99999"),
        pytest.param(swap("a=rtcp-fb:*", "a=extmap:x\r\na=rtcp-fb:*"), id="SDP-5-extmap-malformed"),
        pytest.param(swap("a=rtcp-fb:*", "a=x_foo.bar:1\r\na=\r\na=rtcp-fb:*"), id="unknown-attributes"),
        pytest.param(swap("s=-", "s=a\tb"), id="a-tab"),
        pytest.param(swap("a=ssrc:11", "a=ssrc:0 cname:c\r\na=ssrc:x\r\na=ssrc:11"), id="odd-ssrcs"),
        pytest.param(swap("a=ssrc:11", "a=ssrc-group:FID 11\r\na=ssrc-group:FID 1 2 3\r\na=ssrc:11"), id="odd-groups"),
    ],
)
def test_an_odd_line_is_passed_over(change: Callable[[str], str]) -> None:
    offer, plain = read_offer(change(SMALL)), read_offer(SMALL)
    assert [replace(media, line=0) for media in offer.accepted] == [replace(media, line=0) for media in plain.accepted]


@pytest.mark.parametrize("broken", [drop("a=fmtp:97"), swap("apt=96", "apt=95"), swap("apt=96", "apt=x")])
def test_an_rtx_that_repairs_nothing_is_left_out_of_the_answer(broken: Callable[[str], str]) -> None:
    """SDP-17: clients that take a codec out of an offer leave its rtx behind."""
    agreed = agreement(broken(SMALL), {"0": False})
    assert agreed.tracks["0"].media.formats[0].rtx_payload_type is None
    assert "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" in write_answer(agreed, TRANSPORT)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(swap("opus/48000/2", "PCMU/8000"), id="no-codec"),
        pytest.param(swap("UDP/TLS/RTP/SAVPF 111", "RTP/AVP 111"), id="protocol"),
        pytest.param(swap("BUNDLE 0 1", "BUNDLE 0"), id="not-in-the-group"),
        pytest.param(swap("a=mid:1", "a=mid:é"), id="a-mid-that-fits-no-header-extension"),
        pytest.param(drop("a=mid:1"), id="no-mid"),
        pytest.param(swap("a=recvonly", "a=recvonly\r\na=sendonly"), id="two-directions"),
        pytest.param(swap("111", "96"), id="another-meaning-of-a-payload-type"),
        pytest.param(swap("SAVPF 111", "SAVPF x"), id="no-payload-type"),
    ],
)
def test_an_m_line_that_cant_be_used_is_rejected_alone(change: Callable[[str], str]) -> None:
    agreed = agreement(change(SMALL), {"0": False})
    video, audio = sections(write_answer(agreed, TRANSPORT))
    assert video.startswith("m=video 9 ")
    assert re.match("m=audio 0 ", audio)
    assert "a=group:BUNDLE 0\r\n" in write_answer(agreed, TRANSPORT)
    session_parameters(agreed, "someone")


def test_an_m_line_that_a_track_is_named_for_is_not_rejected_in_silence() -> None:
    with pytest.raises(SdpNotAcceptableError, match="Opus") as caught:
        agreement(SMALL.replace("opus/48000/2", "PCMU/8000"), {"0": False, "1": False})
    assert caught.value.line == 22


@pytest.mark.parametrize("mid", ["", "a=mid:0\r\n", "a=mid:7\r\n"])
def test_a_stopped_m_line_needs_no_mid(mid: str) -> None:
    """SDP-9: Firefox writes none."""
    stopped = f"m=audio 0 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\n{mid}"
    first = SMALL.replace("m=video", stopped + "m=video", 1)
    for offer, place in ((SMALL + stopped, 2), (first, 0)):
        answer = write_answer(agreement(offer, {"0": False}), TRANSPORT)
        assert sections(answer)[place].startswith("m=audio 0 UDP/TLS/RTP/SAVPF 0\r\n")
        assert sections(answer)[place].count("a=mid") == bool(mid)
        assert "a=group:BUNDLE 0 1\r\n" in answer


MID = "urn:ietf:params:rtp-hdrext:sdes:mid"


@pytest.mark.parametrize(
    ("video", "audio", "agreed", "answered"),
    [
        pytest.param([(4, MID)], [(6, MID)], {"mid": 4}, [(4, MID)], id="SDP-3-two-identifiers"),
        pytest.param([(4, MID)], [(4, "urn:x")], {}, [], id="an-identifier-of-two-meanings"),
        pytest.param([(4, MID), (7, "urn:x")], [(7, MID)], {"mid": 4}, [(4, MID)], id="SDP-3-one-taken-elsewhere"),
        pytest.param([(4, MID), (4, "urn:x"), (5, MID)], [(4, MID)], {"mid": 4}, [(4, MID)] * 2, id="twice-in-one"),
    ],
)
def test_an_extension_keeps_one_identifier(
    video: list[tuple[int, str]], audio: list[tuple[int, str]], agreed: dict[str, int], answered: list[tuple[int, str]]
) -> None:
    offer = SMALL
    for kind, pairs in (("a=mid:0", video), ("a=mid:1", audio)):
        offer = offer.replace(kind, "\r\n".join([kind, *(f"a=extmap:{number} {uri}" for number, uri in pairs)]))
    agreement_ = agreement(offer, {"0": False})
    assert agreement_.extensions == agreed
    answer = write_answer(agreement_, TRANSPORT)
    assert [(int(number), uri) for number, uri in re.findall(r"a=extmap:(\d+) (\S+)", answer)] == answered
    session_parameters(agreement_, "someone")


def test_simulcast_needs_the_extension_that_tells_encodings_apart() -> None:
    contradicted = SIMULCAST.replace("a=mid:1", "a=mid:1\r\na=extmap:5 urn:x")
    agreed = agreement(contradicted, {"0": False})
    assert agreed.tracks["0"].media.rids == ()
    assert "simulcast" not in write_answer(agreed, TRANSPORT)


def test_either_form_of_extensions_may_be_offered_for_an_m_line() -> None:
    """SDP-4b."""
    offer = SMALL.replace("a=mid:0", "a=mid:0\r\na=extmap-allow-mixed")
    answer = write_answer(agreement(offer, {"0": False}), TRANSPORT)
    session, video, audio = re.split(r"(?m)^(?=m=)", answer)
    assert ["a=extmap-allow-mixed\r\n" in part for part in (session, video, audio)] == [False, True, False]


@pytest.mark.parametrize("protocol", ["RTP/SAVPF", "TCP/DTLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP"])
def test_the_answer_repeats_the_protocol(protocol: str) -> None:
    answer = write_answer(agreement(SMALL.replace("UDP/TLS/RTP/SAVPF", protocol), {"0": False}), TRANSPORT)
    assert f"m=video 9 {protocol} 96 97\r\n" in answer


@pytest.mark.parametrize(
    ("fmtp", "taken"),
    [
        pytest.param("packetization-mode=1;profile-level-id=42e01f", True, id="SDP-10-constrained-baseline"),
        pytest.param("packetization-mode=1; Profile-Level-Id=42E034", True, id="SDP-10-level-5.2"),
        pytest.param("", False, id="SDP-11-no-fmtp"),
        pytest.param("packetization-mode=0;profile-level-id=42e01f", False, id="SDP-10-mode-0"),
        pytest.param("packetization-mode=1;profile-level-id=640c1f", False, id="SDP-10-high"),
    ],
)
def test_h264_must_say_that_it_is_what_every_browser_decodes(fmtp: str, taken: bool) -> None:  # noqa: FBT001
    said = f"H264/90000\r\na=fmtp:96 {fmtp}" if fmtp else "H264/90000"
    slot = SMALL.replace("VP8/90000", said).replace("a=sendonly", "a=recvonly")
    answer = write_answer(agreement(slot, {}), TRANSPORT)
    assert answer.count("m=video 9 ") == taken
    assert answer.count("m=audio 9 ") == 1


@pytest.mark.parametrize("wrong", [("port:5000", "port:0"), ("port:5000", "port:x"), ("size:262144", "size:-1")])
def test_data_channels_that_are_malformed_are_rejected_alone(wrong: tuple[str, str]) -> None:
    answer = write_answer(agreement(CHANNELS.replace(*wrong), {"0": False}), TRANSPORT)
    assert "m=application 0 " in answer
    assert "a=group:BUNDLE 0 1\r\n" in answer


def test_more_tracks_than_the_contract_allows_are_refused() -> None:
    mids = [f"t{index}" for index in range(9)]
    video = sections(SMALL)[0]
    parts = [re.sub(r"(?m)^a=ssrc.*\n", "", video).replace("a=mid:0", f"a=mid:{mid}") for mid in mids]
    head = SMALL.split("m=", 1)[0].replace("BUNDLE 0 1", "BUNDLE " + " ".join(mids))
    with pytest.raises(SdpNotAcceptableError, match="more than 8"):
        agreement(head + "".join(parts), dict.fromkeys(mids, False))


def answer_or_typed_error(offer: str) -> None:
    try:
        agreed = agreement(offer, {"0": False, "1": False, "2": True})
    except SdpError as error:
        assert str(error).isprintable()  # noqa: PT017
        return
    write_answer(agreed, TRANSPORT)
    session_parameters(agreed, "someone")


def test_extensions_of_either_form_are_agreed_on_where_they_are_offered() -> None:
    assert "\r\na=extmap-allow-mixed\r\n" in write_answer(agreement(), TRANSPORT).partition("m=")[0]
    plain = CHROMIUM.replace("a=extmap-allow-mixed\r\n", "")
    assert "extmap-allow-mixed" not in write_answer(agreement(plain), TRANSPORT)


@given(st.text())
def test_any_text_gets_an_answer_or_a_typed_error(text: str) -> None:
    answer_or_typed_error(text)


line_tails = st.text(alphabet=st.characters(exclude_characters="\n"), max_size=40)
sdp_lines = st.one_of(
    st.sampled_from(CHANNELS.split("\r\n")),
    st.tuples(
        st.sampled_from(
            [
                "mid:",
                "rtpmap:",
                "fmtp:",
                "ssrc:",
                "ssrc-group:",
                "rid:",
                "simulcast:",
                "extmap:",
                "group:",
                "rtcp-fb:",
                "ice-ufrag:",
                "setup:",
            ]
        ),
        line_tails,
    ).map(lambda pair: f"a={pair[0]}{pair[1]}"),
    line_tails.map(lambda tail: f"m=video 9 UDP/TLS/RTP/SAVPF {tail}"),
)


@settings(max_examples=200)
@given(st.lists(sdp_lines, max_size=40))
def test_any_mixture_of_lines_gets_an_answer_or_a_typed_error(lines: list[str]) -> None:
    answer_or_typed_error("v=0\r\n" + "\r\n".join(lines))


@pytest.mark.parametrize("seed", range(4))
def test_mutated_offers_get_an_answer_or_a_typed_error(seed: int) -> None:
    source = random.Random(seed)  # noqa: S311 - a fuzzer, not a secret
    originals = [CHROMIUM, SMALL]
    for _ in range(250):
        answer_or_typed_error(mutate(source.choice(originals), source))


def mutate(sdp: str, source: random.Random) -> str:
    lines = sdp.split("\r\n")
    for _ in range(source.randint(1, 4)):
        place = source.randrange(len(lines))
        kind = source.randrange(6)
        if kind == 0:
            del lines[place]
        elif kind == 1:
            lines.insert(place, source.choice(lines))
        elif kind == 2 and lines[place]:
            spot = source.randrange(len(lines[place]))
            lines[place] = lines[place][:spot] + chr(source.randrange(0x300)) + lines[place][spot + 1 :]
        elif kind == 3:
            lines[place] = lines[place][: source.randrange(len(lines[place]) + 1)]
        elif kind == 4:
            lines[place] = re.sub(r"[0-9]+", lambda _: str(source.choice([0, 1, 127, 128, 2**32])), lines[place])
        else:
            lines[place], lines[-1] = lines[-1], lines[place]
        lines = lines or [""]
    return "\r\n".join(lines)
