"""Client channels with the keepalive that our servers expect; each call carries the trace context and a token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from grpc import aio
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

# The counterpart of grpc_kit.server.SERVER_OPTIONS. Back-off is short: the other side is a part of ours that restarts.
CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 3_000),  # how long one attempt may take; a refused one is over at once
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.enable_http_proxy", 0),  # parts of a deployment talk to each other directly
)

_PROPAGATOR = TraceContextTextMapPropagator()


def open_channel(target: str, *, bearer_token: str = "", options: Sequence[tuple[str, Any]] = ()) -> aio.Channel:
    """Open a channel; it connects at the first call and again after each loss.

    Args:
        target: `host:port`.
        bearer_token: Sent as `authorization: Bearer` with each call; empty: none.
        options: Channel arguments that replace or add to `CHANNEL_OPTIONS`.

    Returns:
        The channel; close it with `await channel.close()`.
    """
    merged = dict(CHANNEL_OPTIONS) | dict(options)
    amend = _Amend(bearer_token)
    interceptors: list[aio.ClientInterceptor] = [
        _UnaryUnary(amend),
        _UnaryStream(amend),
        _StreamUnary(amend),
        _StreamStream(amend),
    ]
    return aio.insecure_channel(target, options=list(merged.items()), interceptors=interceptors)


def split_targets(targets: str) -> list[str]:
    """Return the addresses in a setting that names one or several, `host:port` with commas between them."""
    return [target.strip() for target in targets.split(",") if target.strip()]


class _Amend:
    """Adds trace context and token to a call's metadata."""

    def __init__(self, bearer_token: str) -> None:
        self._token = bearer_token

    def __call__(self, details: aio.ClientCallDetails) -> aio.ClientCallDetails:
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier)
        if self._token:
            carrier["authorization"] = f"Bearer {self._token}"
        metadata = aio.Metadata(*(details.metadata or ()))
        given = {key for key, _ in metadata}
        for key in carrier.keys() - given:
            metadata.add(key, carrier[key])
        return details._replace(metadata=metadata)  # type: ignore[attr-defined, no-any-return]  # it is a named tuple


class _Interceptor:
    def __init__(self, amend: _Amend) -> None:
        self._amend = amend


# grpc.aio takes one kind of RPC from each interceptor, so there are four of them.


class _UnaryUnary(_Interceptor, aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(
        self,
        continuation: Callable[..., Any],
        client_call_details: aio.ClientCallDetails,
        request: Any,  # noqa: ANN401 - any message of any contract
    ) -> Any:  # noqa: ANN401
        method = client_call_details.method
        name = (method.decode() if isinstance(method, bytes) else method).lstrip("/")
        tracer = trace.get_tracer("grpc_kit")
        with tracer.start_as_current_span(name, kind=trace.SpanKind.CLIENT, attributes={"rpc.system": "grpc"}):
            call = await continuation(self._amend(client_call_details), request)
            await call.wait_for_connection()
            return call


class _UnaryStream(_Interceptor, aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(
        self,
        continuation: Callable[..., Any],
        client_call_details: aio.ClientCallDetails,
        request: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        return await continuation(self._amend(client_call_details), request)


class _StreamUnary(_Interceptor, aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(
        self,
        continuation: Callable[..., Any],
        client_call_details: aio.ClientCallDetails,
        request_iterator: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        return await continuation(self._amend(client_call_details), request_iterator)


class _StreamStream(_Interceptor, aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(
        self,
        continuation: Callable[..., Any],
        client_call_details: aio.ClientCallDetails,
        request_iterator: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        return await continuation(self._amend(client_call_details), request_iterator)
