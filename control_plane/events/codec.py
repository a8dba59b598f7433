"""Domain values as JSON and back, by their type annotations: what Redis keeps is what the domain says."""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import types
import typing
from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from control_plane.domain import event as events
from control_plane.redis_store import compact_json

T = TypeVar("T")

_KINDS: dict[str, type[events.Event]] = {
    "participant_joined": events.ParticipantJoined,
    "participant_updated": events.ParticipantUpdated,
    "participant_left": events.ParticipantLeft,
    "dominant_speaker_changed": events.DominantSpeakerChanged,
    "slots_changed": events.SlotsChanged,
    "encodings_changed": events.EncodingsChanged,
    "reaction_sent": events.ReactionSent,
    "meeting_updated": events.MeetingUpdated,
    "meeting_ended": events.MeetingEnded,
    "media_moved": events.MediaMoved,
    "stream_opened": events.StreamOpened,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def event_name(event: events.Event) -> str:
    """Returns the name under which the log keeps an event of this kind."""
    return _NAMES[type(event)]


def encode(value: object) -> str:
    """Returns a dataclass as compact JSON; equal values give equal text."""
    return compact_json(_plain(value))


def decode(kind: type[T], text: str) -> T:
    """Returns the dataclass that JSON holds. Fields that are missing take their defaults, unknown ones are dropped."""
    return cast("T", _decoded(cast("Hashable", kind), text))


@functools.lru_cache(maxsize=20_000)
def _decoded(kind: Hashable, text: str) -> object:
    # The same participants are read again and again; values are frozen, so they can be shared.
    return _typed(kind, json.loads(text))


def decode_event(name: str, text: str) -> events.Event | None:
    """Returns an event of the log; None for a kind that this version does not know."""
    kind = _KINDS.get(name)
    return None if kind is None else decode(kind, text)


def _plain(value: object) -> Any:  # noqa: ANN401 -- JSON
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return value


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _typed(kind: Any, raw: Any) -> Any:  # noqa: ANN401 -- JSON
    origin = typing.get_origin(kind)
    if origin in {typing.Union, types.UnionType}:
        return None if raw is None else _typed(next(arg for arg in typing.get_args(kind) if arg is not type(None)), raw)
    if origin is tuple:
        return tuple(_typed(typing.get_args(kind)[0], item) for item in raw)
    if dataclasses.is_dataclass(kind):
        hints = _hints(cast("type", kind))
        fields = [field.name for field in dataclasses.fields(kind) if field.init and field.name in raw]
        return kind(**{name: _typed(hints[name], raw[name]) for name in fields})  # type: ignore[operator]
    return _scalar(kind, raw)


def _scalar(kind: Any, raw: Any) -> Any:  # noqa: ANN401 -- JSON
    if kind is datetime:
        return datetime.fromisoformat(raw)
    if kind is timedelta:
        return timedelta(seconds=raw)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind(raw)
    return raw
