"""QuarantineService: operators see what is set aside, and have it tried again or dropped."""

from __future__ import annotations

from typing import Any

from grpc import aio

from control_plane.kernel.paging import page_token_invalid
from control_plane.platform.grpc.enums import enum_values
from control_plane.platform.grpc.page_tokens import DEFAULT_PAGE_SIZE, read_token_after, token_after
from control_plane.platform.grpc.times import timestamp
from control_plane.platform.set_aside import RecordKind, SetAside
from control_plane.quarantine.service import QuarantineKeeper
from parley.operations.v1 import quarantine_pb2, quarantine_service_pb2

_Context = aio.ServicerContext[Any, Any]
_KINDS = enum_values(quarantine_pb2.RecordKind, RecordKind)
_COLLECTION = "quarantinedRecords/"


class QuarantineServicer:
    """Serves operators."""

    def __init__(self, keeper: QuarantineKeeper) -> None:
        self._keeper = keeper

    async def ListQuarantinedRecords(
        self, request: quarantine_service_pb2.ListQuarantinedRecordsRequest, context: _Context
    ) -> quarantine_service_pb2.ListQuarantinedRecordsResponse:
        """Lists what is set aside."""
        after = read_token_after(request.page_token, _COLLECTION)
        if after is None:
            raise page_token_invalid()
        records = [record for record in await self._keeper.list() if record.id > after]
        page = records[: request.page_size or DEFAULT_PAGE_SIZE]
        more = len(records) > len(page)
        return quarantine_service_pb2.ListQuarantinedRecordsResponse(
            quarantined_records=[_message(record) for record in page],
            next_page_token=token_after(f"{_COLLECTION}{page[-1].id}") if more else "",
        )

    async def RetryQuarantinedRecord(
        self, request: quarantine_service_pb2.RetryQuarantinedRecordRequest, context: _Context
    ) -> quarantine_service_pb2.RetryQuarantinedRecordResponse:
        """Has a record tried again."""
        await self._keeper.retry(request.name.removeprefix(_COLLECTION))
        return quarantine_service_pb2.RetryQuarantinedRecordResponse()

    async def DropQuarantinedRecord(
        self, request: quarantine_service_pb2.DropQuarantinedRecordRequest, context: _Context
    ) -> quarantine_service_pb2.DropQuarantinedRecordResponse:
        """Takes a record away."""
        await self._keeper.drop(request.name.removeprefix(_COLLECTION))
        return quarantine_service_pb2.DropQuarantinedRecordResponse()


def _message(record: SetAside) -> quarantine_pb2.QuarantinedRecord:
    return quarantine_pb2.QuarantinedRecord(
        name=f"{_COLLECTION}{record.id}",
        kind=_KINDS[record.kind],
        key=record.key,
        problem=record.problem,
        first_time=timestamp(record.first_time),
        last_time=timestamp(record.last_time),
        count=record.count,
    )
