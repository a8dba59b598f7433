"""Values as JSON records and back, by their type annotations: what the stores keep is what the domain says.

Replicas of two versions read each other's records while an upgrade runs. What a newer one wrote and this one does not
know is kept in the value's `others`, if its type has that field, and written back with it: keys that this version has
no field for, and values of an enum that it has no member for, which are read as the enum's `UNKNOWN`.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import types
import typing
from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar, cast

T = TypeVar("T")
E = TypeVar("E", bound=enum.Enum)

UNKNOWN: Final = "unknown"
"""Value of the member that stands for a newer version's, in each enum that is kept in a store."""
_OTHERS: Final = "others"
_FAULTS: Final = (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)


class UnreadableRecordError(ValueError):
    """A record is not of the form that this version reads. The message tells what of it, and nothing of its content."""


def read_enum(kind: type[E], value: object) -> E:
    """Returns an enum's member, or its `UNKNOWN` for a value that a newer version may have written.

    Raises:
        UnreadableRecordError: The value is not a text.
    """
    if not isinstance(value, str):
        raise UnreadableRecordError(f"{kind.__name__} is a {type(value).__name__}")
    try:
        return kind(value)
    except ValueError:
        return kind[UNKNOWN.upper()]


def compact_json(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """Returns JSON without spaces, keys sorted: equal values give equal text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def encode(value: object) -> str:
    """Returns a dataclass as compact JSON; equal values give equal text."""
    return compact_json(plain(value))


def decode(kind: type[T], text: str) -> T:
    """Returns the dataclass that JSON holds. Fields that are missing take their defaults.

    Raises:
        UnreadableRecordError: It holds none, or lacks a field without a default.
    """
    return cast("T", _decoded(cast("Hashable", kind), text))


def from_plain(kind: type[T], raw: object) -> T:
    """Returns the dataclass that decoded JSON holds, as `decode` does."""
    try:
        return cast("T", _typed(kind, raw))
    except UnreadableRecordError:
        raise
    except _FAULTS as error:
        raise UnreadableRecordError(f"{kind.__name__}: {type(error).__name__}") from error


def with_others_of(value: T, other: T) -> T:
    """Returns a value with what another record of the same thing holds that this version does not know."""
    kept = json.loads(getattr(other, _OTHERS) or "{}")
    known = {field.name for field in dataclasses.fields(cast("Any", value))}
    own = json.loads(getattr(value, _OTHERS) or "{}")
    merged = {name: raw for name, raw in kept.items() if name not in known} | own
    return cast("T", dataclasses.replace(cast("Any", value), **{_OTHERS: compact_json(merged) if merged else ""}))


@functools.lru_cache(maxsize=20_000)
def _decoded(kind: Hashable, text: str) -> object:
    # The same participants are read again and again; values are frozen, so they can be shared.
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableRecordError(f"{getattr(kind, '__name__', kind)}: no JSON") from error
    return from_plain(cast("type[object]", kind), raw)


def plain(value: object) -> Any:  # noqa: ANN401 -- JSON
    """Returns a value as what JSON can hold."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if dataclasses.is_dataclass(value):
        return _with_others(
            {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)},
        )
    return value


def _with_others(fields: dict[str, Any]) -> dict[str, Any]:
    others = fields.pop(_OTHERS, "")
    if others:
        # A value that was set since is this version's, whatever it was before.
        fields |= {name: raw for name, raw in json.loads(others).items() if fields.get(name, UNKNOWN) == UNKNOWN}
    return fields


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind) if field.init}


def _typed(kind: Any, raw: Any) -> Any:  # noqa: ANN401 -- JSON
    origin = typing.get_origin(kind)
    if origin in {typing.Union, types.UnionType}:
        return None if raw is None else _typed(next(arg for arg in typing.get_args(kind) if arg is not type(None)), raw)
    if origin is tuple:
        return tuple(_typed(typing.get_args(kind)[0], item) for item in raw)
    if dataclasses.is_dataclass(kind):
        return _record(cast("type", kind), raw)
    return _scalar(kind, raw)


def _record(kind: type, raw: Mapping[str, Any]) -> object:
    hints = _hints(kind)
    known = {name: _typed(hint, raw[name]) for name, hint in hints.items() if name in raw and name != _OTHERS}
    if _OTHERS in hints:
        others = {name: item for name, item in raw.items() if _is_news(known.get(name), item, known=name in known)}
        known[_OTHERS] = compact_json(others) if others else ""
    return kind(**known)


def _is_news(value: object, raw: object, *, known: bool) -> bool:
    return not known or (isinstance(value, enum.Enum) and value.value == UNKNOWN != raw)


def _scalar(kind: Any, raw: Any) -> Any:  # noqa: ANN401 -- JSON
    if kind is datetime:
        return datetime.fromisoformat(raw)
    if kind is timedelta:
        return timedelta(seconds=raw)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return read_enum(kind, raw)
    allowed = (int, float) if kind is float else kind
    if not isinstance(raw, allowed) or (isinstance(raw, bool) and kind is not bool):
        raise UnreadableRecordError(f"{kind.__name__} is a {type(raw).__name__}")
    if isinstance(raw, str) and not raw.isascii():
        raw.encode()  # JSON can hold half a surrogate pair, which nothing that is sent to others can
    return raw
