"""A call that owes one message and ends without it is refused; grpc.aio by itself would never answer it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from grpc import aio

MESSAGE_SECONDS = 20.0
"""How long a call may take to send the message that it owes."""


class NoMessage:
    """Stands for the message that did not come, until it is its turn to be refused: after authentication."""


class OneMessageInterceptor(aio.ServerInterceptor):
    """Outermost of the chain: reads the message of a unary request as if it were a stream of one.

    grpc.aio takes a request that ends before its message for one that was cancelled, and leaves its caller waiting.
    """

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wrap the method's handler (grpc.aio calls this for each call)."""
        handler: Any = await continuation(handler_call_details)
        if handler is None or handler.request_streaming:
            return handler  # type: ignore[no-any-return]
        streams = bool(handler.response_streaming)
        make: Any = grpc.stream_stream_rpc_method_handler if streams else grpc.stream_unary_rpc_method_handler
        wrapped: grpc.RpcMethodHandler[Any, Any] = make(
            _stream(handler.unary_stream) if streams else _answer(handler.unary_unary),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
        return wrapped


def _answer(behaviour: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def answer(requests: AsyncIterator[Any], context: Any) -> Any:  # noqa: ANN401 - any message of any contract
        return await behaviour(await _first(requests), context)

    return answer


def _stream(behaviour: Callable[..., AsyncIterator[Any]]) -> Callable[..., AsyncIterator[Any]]:
    async def stream(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:  # noqa: ANN401 - as above
        async for response in behaviour(await _first(requests), context):
            yield response

    return stream


async def _first(requests: AsyncIterator[Any]) -> Any:  # noqa: ANN401 - any message of any contract
    try:
        async with asyncio.timeout(MESSAGE_SECONDS):
            async for request in requests:
                return request
    except TimeoutError:
        pass
    return NoMessage()
