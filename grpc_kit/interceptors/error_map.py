"""What callers see of an error: a ServiceError as it is, anything else as INTERNAL with an id that is in the log."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import grpc
import structlog
from grpc import aio
from grpc_status import rpc_status

from grpc_kit.errors import ServiceError
from grpc_kit.interceptors.base import Call, CallInterceptor

log = structlog.get_logger(__name__)


class ErrorMapInterceptor(CallInterceptor):
    """Ends a call that raises with google.rpc.Status; grpc.aio by itself would send the exception's text."""

    def __init__(self, translate: Callable[[Exception], ServiceError | None]) -> None:
        """`translate` turns a plane's own errors into ServiceErrors; None: it does not know that exception."""
        self._translate = translate

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """Turn what the call raises into its status."""
        try:
            yield
        except aio.AbortError:
            raise  # the status is set already
        except ServiceError as error:
            await _abort(call, error)
        except Exception as exception:  # noqa: BLE001 - the last line of defence: nothing may leak
            await _abort(call, self._translate(exception) or _internal(call, exception))


def _internal(call: Call, exception: Exception) -> ServiceError:
    error_id = uuid.uuid4().hex
    log.error("rpc.internal_error", method=call.method, error_id=error_id, exc_info=exception)
    return ServiceError(
        grpc.StatusCode.INTERNAL,
        "INTERNAL",
        f"Something went wrong on our side. Quote this id when you report it: {error_id}",
        metadata={"error_id": error_id},
    )


async def _abort(call: Call, error: ServiceError) -> None:
    try:
        await call.context.abort_with_status(rpc_status.to_status(error.to_status()))
    except aio.AbortError as abort:
        raise abort from error  # so that the telemetry around this can tell the reason
