"""Writes the table of the engine's defaults into `docs/engine.md`, from the constants and their comments in its source.

`python docs/engine_defaults.py` writes it; a test says when it is stale.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "engine.md"
_SOURCE: Final = ROOT / "media_plane" / "engine" / "core" / "src"
_BEGIN: Final = "<!-- Written by docs/engine_defaults.py. -->\n"
_END: Final = "<!-- End of what docs/engine_defaults.py writes. -->\n"
_PARTS: Final = {
    "The loop": (
        "worker.rs",
        "spacing.rs",
        "outbox.rs",
        "shard/timers.rs",
        "shard/fanout.rs",
        "queue.rs",
        "net/inbox.rs",
        "net/socket.rs",
    ),
    "Connecting": ("ice.rs", "dtls.rs", "rate_limit.rs", "net/tcp.rs", "session.rs", "agreed_media.rs", "params.rs"),
    "Layers": (
        "allocation/mod.rs",
        "allocation/ceiling.rs",
        "allocation/ladder.rs",
        "publication.rs",
        "rate.rs",
        "shard/layers.rs",
    ),
    "Slots and tracks": ("slot.rs", "track.rs", "munger.rs", "reception.rs"),
    "Loss": ("loss.rs", "repair_wait.rs", "shard/retransmit.rs", "shard/control_out.rs"),
    "Audio": ("audio/loudest.rs", "audio/dominant.rs", "shard/audio.rs"),
    "Feedback to senders": ("twcc/recorder.rs", "uplink.rs"),
    "Bandwidth": (
        "bandwidth/estimator.rs",
        "bandwidth/probe.rs",
        "bandwidth/loss.rs",
        "bandwidth/aimd.rs",
        "bandwidth/overuse.rs",
        "bandwidth/trendline.rs",
        "bandwidth/arrival.rs",
        "bandwidth/acknowledged.rs",
        "bandwidth/queueing.rs",
        "bandwidth/history.rs",
        "bandwidth/feedback.rs",
    ),
    "Data channels": ("sctp/limits.rs", "sctp/association.rs", "sctp/label.rs"),
    "Pacing": ("pacer.rs", "shard/pace.rs"),
}
_CONSTANT: Final = re.compile(
    r"(?P<comment>(?:^/// .*\n)+)?^(?:pub(?:\([a-z]+\))? )?"
    r"const (?P<name>[A-Z][A-Z_0-9]+): (?P<type>[^=]+) =\s*(?P<value>[^;]+);\n",
    re.MULTILINE,
)
# A link that rustdoc resolves: [`name`](crate::path) or [`name`].
_ITEM_LINK: Final = re.compile(r"\[(`[^`\]]+`)\](?:\([^)]*\))?")
_DURATION: Final = re.compile(r"(?:(?P<count>[0-9_]+) \* )?(?P<unit>MILLISECOND|SECOND)(?: / (?P<parts>[0-9_]+))?")
_UNITS: Final = {"MILLISECOND": "ms", "SECOND": "s"}


@dataclass(frozen=True)
class Default:
    """A constant as the table shows it.

    Attributes:
        name: In the source.
        value: With its unit.
        meaning: What it is, why so much, and whose number it is.
    """

    name: str
    value: str
    meaning: str


def read_defaults(source: str) -> Iterator[Default]:
    """The documented constants of a file, without those of its tests; one comment may serve several in a row."""
    meaning = ""
    end = 0
    for found in _CONSTANT.finditer(source.partition("#[cfg(test)]")[0]):
        if found["comment"]:
            meaning = " ".join(line.removeprefix("///").strip() for line in found["comment"].splitlines())
            meaning = _ITEM_LINK.sub(r"\1", meaning)
        elif found.start() != end:
            meaning = ""
        end = found.end()
        if meaning and not found["name"].endswith(("_FLAG", "_MASK")):
            yield Default(found["name"], _value(found["name"], found["value"], found["type"].strip()), meaning)


def _value(name: str, value: str, kind: str) -> str:
    text = " ".join(value.split()).removesuffix(".cast_signed()")
    if duration := _DURATION.fullmatch(text):
        count = int((duration["count"] or "1").replace("_", "")) / int(duration["parts"] or "1")
        return f"{count:g} {_UNITS[duration['unit']]}"
    if duration := re.fullmatch(r"Duration::from_(millis|secs)\((\d+)\)", text):
        return f"{duration[2]} {'ms' if duration[1] == 'millis' else 's'}"
    number = re.sub(r"(?<=\d)_(?=\d)", ",", text)
    if name.endswith("_PERCENT"):
        return f"{number} %"
    is_time = kind == "Micros" and not name.endswith("_WEIGHT")
    return f"{number} µs" if is_time else number


def table() -> str:
    """The table in Markdown."""
    lines = []
    for part, files in _PARTS.items():
        rows = [
            (file, default)
            for file in files
            if (_SOURCE / file).exists()
            for default in read_defaults((_SOURCE / file).read_text())
        ]
        lines += ["", f"### {part}", "", "| Module | Name | Value | Meaning and source |", "|---|---|---|---|"]
        for file, default in rows:
            meaning = default.meaning.replace("|", "\\|")
            lines.append(f"| `{file.removesuffix('.rs')}` | `{default.name}` | {default.value} | {meaning} |")
    return "\n".join(lines) + "\n\n"


def page() -> str:
    """The page as it should be."""
    head, _, rest = PAGE.read_text().partition(_BEGIN)
    return head + _BEGIN + table() + _END + rest.partition(_END)[2]


if __name__ == "__main__":
    PAGE.write_text(page())
