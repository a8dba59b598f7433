"""What was done for a `request_id`: it commits with the change that it belongs to."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.kernel.errors import RequestIdReusedError
from control_plane.platform.postgres.tables import REQUEST_IDS

REQUEST_ID_LIFETIME = timedelta(hours=24)


class RequestIds:
    """What was done for a `request_id`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def claim(self, caller: str, request_id: str, fingerprint: bytes, now: datetime) -> str | None:
        """Takes a request id for this transaction; returns what was kept when it was taken before."""
        columns = REQUEST_IDS.c
        fresh = {"fingerprint": fingerprint, "result": "", "expire_time": now + REQUEST_ID_LIFETIME}
        statement = upsert(REQUEST_IDS).values(caller=caller, request_id=request_id, **fresh)
        # An insert waits for another transaction that holds the same key: of two at a time one does the work.
        claimed = await self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=["caller", "request_id"], set_=fresh, where=columns.expire_time <= now
            ).returning(columns.request_id)
        )
        if claimed.first() is not None:
            return None
        kept = select(columns.fingerprint, columns.result).where(
            columns.caller == caller, columns.request_id == request_id
        )
        row = (await self._connection.execute(kept)).one()
        if row.fingerprint != fingerprint:
            raise RequestIdReusedError
        return str(row.result)

    async def keep(self, caller: str, request_id: str, result: str) -> None:
        """Keeps what was made for a claimed request id."""
        columns = REQUEST_IDS.c
        claimed = (columns.caller == caller) & (columns.request_id == request_id)
        await self._connection.execute(update(REQUEST_IDS).where(claimed).values(result=result))
