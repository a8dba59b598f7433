"""What is set aside, in Redis, so that all replicas and operators see the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from control_plane.kernel.clock import Clock
from control_plane.kernel.records import UnreadableRecordError, decode, encode
from control_plane.platform.redis.client import (
    RedisClient,
    Script,
    answer,
    from_milliseconds,
    milliseconds,
    store_failures,
)
from control_plane.platform.set_aside import KEEP, RecordKind, SetAside

_PREFIX: Final = "parley:{quarantine}:"
_MOST: Final = 10_000
_ADD: Final = """
local records, times = KEYS[1] .. 'records', KEYS[1] .. 'times'
for i = 4, #ARGV, 4 do
  local id, document, count, time = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  redis.call('HSETNX', records, id, document)
  redis.call('HINCRBY', KEYS[1] .. 'counts', id, count)
  redis.call('ZADD', times, 'GT', time, id)
end
local old = redis.call('ZRANGE', times, '-inf', ARGV[1], 'BYSCORE')
local much = redis.call('ZCARD', times) - #old - tonumber(ARGV[2])
if much > 0 then
  for _, id in ipairs(redis.call('ZRANGE', times, #old, #old + much - 1)) do old[#old + 1] = id end
end
for _, id in ipairs(old) do
  redis.call('HDEL', records, id)
  redis.call('HDEL', KEYS[1] .. 'counts', id)
  redis.call('ZREM', times, id)
end
for _, name in ipairs({ 'records', 'counts', 'times' }) do redis.call('PEXPIRE', KEYS[1] .. name, ARGV[3]) end
"""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A record as it is kept; its count and last time stand beside it."""

    kind: str
    key: str
    problem: str
    first_time: datetime


class QuarantineStore:
    """Implements `QuarantineStore`: the newest ten thousand records, each for a week after it was last met."""

    def __init__(self, client: RedisClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._add = Script(client, _ADD)

    async def add(self, records: Sequence[SetAside]) -> None:
        """Adds records, or the counts of those that are there."""
        keep = round(KEEP.total_seconds() * 1000)
        arguments: list[str | int] = [milliseconds(self._clock.now()) - keep, _MOST, keep]
        for record in records:
            kept = _Kept(record.kind.value, record.key, record.problem, record.first_time)
            arguments += [record.id, encode(kept), record.count, milliseconds(record.last_time)]
        await self._add([_PREFIX], arguments)

    async def remove(self, ids: Sequence[str]) -> None:
        """Forgets records."""
        with store_failures():
            pipe = self._client.pipeline(transaction=True)
            pipe.hdel(f"{_PREFIX}records", *ids)
            pipe.hdel(f"{_PREFIX}counts", *ids)
            pipe.zrem(f"{_PREFIX}times", *ids)
            await pipe.execute()

    async def list(self) -> Sequence[SetAside]:
        """Returns all records, by id."""
        with store_failures():
            pipe = self._client.pipeline(transaction=True)
            pipe.hgetall(f"{_PREFIX}records")
            pipe.hgetall(f"{_PREFIX}counts")
            pipe.zrange(f"{_PREFIX}times", 0, -1, withscores=True)
            documents, counts, times = await answer(pipe.execute())
        met = dict(times)
        found = [_record(text, counts.get(name, "1"), met.get(name)) for name, text in sorted(documents.items())]
        return [record for record in found if record is not None]


def _record(text: str, count: str, time: float | None) -> SetAside | None:
    try:
        kept = decode(_Kept, text)
        kind = RecordKind(kept.kind)
    except (UnreadableRecordError, ValueError):
        return None  # of a newer version's kind: that version shows it
    last = from_milliseconds(time) if time is not None else kept.first_time
    return SetAside(kind, kept.key, kept.problem, kept.first_time, last, int(count))
