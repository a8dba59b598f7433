"""SDP as lines: a session part and one section an m-line, nothing understood yet (RFC 8866 section 5)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from media_plane.node.sdp.errors import SdpInvalidError

MAX_BYTES: Final = 131_072
"""The contract's limit for an offer."""
MAX_LINES: Final = 8_192
MAX_LINE_LENGTH: Final = 4_096
"""Chromium's longest line is an m-line or a BUNDLE group of some hundred characters."""
MAX_SECTIONS: Final = 64

_M_LINE: Final = re.compile(
    r"(?P<kind>[\x21-\x7e]{1,32}) (?P<port>[0-9]{1,5})(?:/[0-9]{1,3})? (?P<protocol>[\x21-\x7e]{1,64}) (?P<formats>.+)"
)
_LINE: Final = re.compile(r"([a-z])=([^\x00-\x08\x0a-\x1f\x7f]*)")
_ATTRIBUTE_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
"""Of all that anybody has registered; other attributes are passed over, as RFC 8866 section 5.13 wants it."""
_MAX_PORT: Final = 65_535


class Attribute(NamedTuple):
    """An `a=` line: `a=<name>` or `a=<name>:<value>`."""

    name: str
    value: str
    line: int


@dataclass(slots=True)
class Part:
    """The session part of a description, or the part of a section that follows its m-line."""

    line: int
    attributes: dict[str, list[Attribute]] = field(default_factory=dict)

    def all(self, name: str) -> list[Attribute]:
        """Return the attributes of a name in their order."""
        return self.attributes.get(name, [])

    def first(self, name: str) -> Attribute | None:
        """Return the first attribute of a name."""
        found = self.attributes.get(name)
        return found[0] if found else None

    def has(self, name: str) -> bool:
        """Whether an attribute of that name stands here."""
        return name in self.attributes


@dataclass(slots=True)
class Section(Part):
    """An m-line and what follows it."""

    kind: str = ""
    port: int = 0
    protocol: str = ""
    formats: tuple[str, ...] = ()


@dataclass(slots=True)
class Description:
    """A whole description.

    Attributes:
        session: What comes before the first m-line.
        sections: The m-lines.
        origin: User name and id of its `o=` line, which all descriptions of a connection share (RFC 8829 section
            5.2.2); empty: it has none.
    """

    session: Part
    sections: list[Section]
    origin: str = ""


def read_lines(text: str) -> Description:
    """Take a description apart.

    Raises:
        SdpInvalidError: Too large, or a line that is none.
    """
    if len(text) > MAX_BYTES or len(text.encode(errors="replace")) > MAX_BYTES:
        raise SdpInvalidError(f"the offer is larger than {MAX_BYTES} bytes")
    description = Description(session=Part(line=1), sections=[])
    part: Part = description.session
    for number, kind, value in _split(text):
        if number == 1 and (kind, value) != ("v", "0"):
            raise SdpInvalidError("the first line must be v=0", number)
        if kind == "m":
            if len(description.sections) == MAX_SECTIONS:
                raise SdpInvalidError(f"more than {MAX_SECTIONS} m-lines", number)
            part = _section(number, value)
            description.sections.append(part)
        elif kind == "o" and not description.origin:
            description.origin = " ".join(value.split(" ")[:2])
        elif kind == "a":
            name, _, rest = value.partition(":")
            if _ATTRIBUTE_NAME.fullmatch(name) and "\t" not in rest:
                part.attributes.setdefault(name, []).append(Attribute(name, rest, number))
    return description


def _split(text: str) -> Iterator[tuple[int, str, str]]:
    lines = text.split("\n", MAX_LINES)
    if len(lines) > MAX_LINES:
        raise SdpInvalidError(f"more than {MAX_LINES} lines")
    while lines and lines[-1].strip() == "":
        lines.pop()
    if not lines:
        raise SdpInvalidError("the offer is empty")
    for number, raw in enumerate(lines, start=1):
        line = raw.removesuffix("\r")
        if len(line) > MAX_LINE_LENGTH:
            raise SdpInvalidError(f"longer than {MAX_LINE_LENGTH} characters", number)
        match = _LINE.fullmatch(line)
        if match is None:
            raise SdpInvalidError("not of the form <letter>=<value> without control characters", number)
        yield number, match[1], match[2]


def _section(number: int, value: str) -> Section:
    match = _M_LINE.fullmatch(value)
    if match is None:
        raise SdpInvalidError("an m-line is m=<media> <port> <protocol> <formats>", number)
    port = int(match["port"])
    if port > _MAX_PORT:
        raise SdpInvalidError("the port of an m-line goes up to 65535", number)
    return Section(
        line=number, kind=match["kind"], port=port, protocol=match["protocol"], formats=tuple(match["formats"].split())
    )
