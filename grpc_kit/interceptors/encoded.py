"""Streams may yield responses that are encoded already, so that what many are sent is encoded once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from grpc import aio

Serializer = Callable[[Any], bytes]


class EncodedInterceptor(aio.ServerInterceptor):
    """Innermost of the chain: sends `bytes` from a streaming servicer as they are, and encodes messages as ever."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wrap the method's handler (grpc.aio calls this for each call)."""
        handler: Any = await continuation(handler_call_details)
        if handler is None or handler.request_streaming or not handler.response_streaming:
            return handler  # type: ignore[no-any-return]
        wrapped: grpc.RpcMethodHandler[Any, Any] = grpc.unary_stream_rpc_method_handler(
            handler.unary_stream,
            request_deserializer=handler.request_deserializer,
            response_serializer=_passing(handler.response_serializer),
        )
        return wrapped


def _passing(serializer: Serializer) -> Serializer:
    def serialize(response: Any) -> bytes:  # noqa: ANN401 - any message of any contract
        return response if isinstance(response, bytes) else serializer(response)

    return serialize
