"""One way to write an interceptor for all four kinds of RPC: something around the call, and a look at each request."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import grpc
from grpc import aio

Deserializer = Callable[[bytes], Any]

CLIENT_ADDRESS = "x-parley-client-address"
"""Metadata in which the gateway gives the client's address; what a client sends under this name it overwrites."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call under way.

    Attributes:
        method: Full name, `/parley.meeting.v1.MeetingService/GetMeeting`.
        context: The gRPC context of the call.
        metadata: Its metadata in lower case; of a key given more than once, the last value.
        streams_request: Whether the caller sends a stream.
        streams_response: Whether the server answers with a stream.
        transport_peer: The transport's peer, read at the beginning: asking a call that is over crashes the process.
    """

    method: str
    context: aio.ServicerContext[Any, Any]
    metadata: dict[str, str]
    streams_request: bool
    streams_response: bool
    transport_peer: str

    @property
    def peer(self) -> str:
        """The caller's address: what the gateway says it is, else the transport's peer without the port.

        The gateway alone knows which entry of X-Forwarded-For is to be believed.
        """
        return self.metadata.get(CLIENT_ADDRESS) or self.transport_peer.rsplit(":", 1)[0]

    @property
    def bearer_token(self) -> str | None:
        """The token of `authorization: Bearer <token>`, if there is one."""
        scheme, _, token = self.metadata.get("authorization", "").partition(" ")
        return token.strip() or None if scheme.lower() == "bearer" else None


# The outermost interceptor reads the call's metadata, the others find it here: a call has a task of its own.
_CALL: ContextVar[Call | None] = ContextVar("grpc_kit_call", default=None)


class CallInterceptor(aio.ServerInterceptor):
    """Base of the interceptors: override `bind`, `around`, `check_request`, `deserializer` or all of them."""

    def bind(self, services: Sequence[str]) -> None:
        """Prepare for a server of these services (full names), before it starts; raise to keep it from starting."""

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """Run around the whole call; raise to refuse it."""
        del call
        yield

    async def check_request(self, call: Call, request: Any) -> None:  # noqa: ANN401 - any message of any contract
        """Look at a request message before the servicer gets it; raise to refuse the call."""

    def deserializer(self, inner: Deserializer | None) -> Deserializer | None:
        """Return what turns bytes into request messages in place of `inner`."""
        return inner

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wrap the method's handler (grpc.aio calls this for each call)."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        return _Wrapped(handler, str(handler_call_details.method), self).as_handler()


class _Wrapped:
    """A method's handler with an interceptor around it."""

    def __init__(self, handler: Any, method: str, interceptor: CallInterceptor) -> None:  # noqa: ANN401
        self._handler = handler
        self._method = method
        self._interceptor = interceptor

    def as_handler(self) -> grpc.RpcMethodHandler[Any, Any]:
        makers: dict[tuple[bool, bool], tuple[Any, Any]] = {
            (False, False): (grpc.unary_unary_rpc_method_handler, self._answer),
            (True, False): (grpc.stream_unary_rpc_method_handler, self._answer),
            (False, True): (grpc.unary_stream_rpc_method_handler, self._stream),
            (True, True): (grpc.stream_stream_rpc_method_handler, self._stream),
        }
        make, behaviour = makers[bool(self._handler.request_streaming), bool(self._handler.response_streaming)]
        wrapped: grpc.RpcMethodHandler[Any, Any] = make(
            behaviour,
            request_deserializer=self._interceptor.deserializer(self._handler.request_deserializer),
            response_serializer=self._handler.response_serializer,
        )
        return wrapped

    async def _answer(self, request: Any, context: aio.ServicerContext[Any, Any]) -> Any:  # noqa: ANN401
        call = self._call(context)
        async with self._interceptor.around(call):
            behaviour = self._handler.stream_unary if self._handler.request_streaming else self._handler.unary_unary
            return await behaviour(await self._prepare(call, request), context)

    async def _stream(self, request: Any, context: aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:  # noqa: ANN401
        call = self._call(context)
        async with self._interceptor.around(call):
            behaviour = self._handler.stream_stream if self._handler.request_streaming else self._handler.unary_stream
            result = behaviour(await self._prepare(call, request), context)
            if inspect.isawaitable(result):  # a servicer that writes by context.write (grpc's own health service)
                await result
                return
            async for response in result:
                yield response

    def _call(self, context: aio.ServicerContext[Any, Any]) -> Call:
        known = _CALL.get()
        if known is not None and known.context is context:
            return known
        metadata = {
            key.lower(): value if isinstance(value, str) else value.hex()
            for key, value in context.invocation_metadata() or ()
        }
        call = Call(
            self._method,
            context,
            metadata,
            streams_request=bool(self._handler.request_streaming),
            streams_response=bool(self._handler.response_streaming),
            transport_peer=context.peer(),
        )
        _CALL.set(call)
        return call

    async def _prepare(self, call: Call, request: Any) -> Any:  # noqa: ANN401
        if call.streams_request:
            return self._checked(call, request)
        await self._interceptor.check_request(call, request)
        return request

    async def _checked(self, call: Call, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for request in requests:
            await self._interceptor.check_request(call, request)
            yield request
