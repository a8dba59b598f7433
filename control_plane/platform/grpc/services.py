"""Services of the contracts whose methods stand in several capabilities."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc import aio

from grpc_kit.server import Service

_HANDLERS: Final[Mapping[tuple[bool, bool], Callable[..., grpc.RpcMethodHandler[Any, Any]]]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}
"""By whether the client streams, and whether the server does."""


class UnservedMethodError(Exception):
    """A method of a contract is served by no capability, or by two."""


def compose(servicers: Iterable[Mapping[str, object]]) -> list[Service]:
    """Returns services whose every method comes from the one servicer that has it.

    Args:
        servicers: Of each capability, by full name of a service: an object with methods named as in the contract.

    Raises:
        UnservedMethodError: A method is missing, or two capabilities have it.
    """
    by_service: dict[str, list[object]] = defaultdict(list)
    for capability in servicers:
        for name, servicer in capability.items():
            by_service[name].append(servicer)
    return [_service(name, parts) for name, parts in by_service.items()]


def _service(name: str, servicers: list[object]) -> Service:
    descriptor = descriptor_pool.Default().FindServiceByName(name)
    handler = grpc.method_handlers_generic_handler(
        name,
        {
            method.name: _handler(method, _implementation(descriptor, method, servicers))
            for method in descriptor.methods
        },
    )

    def register(server: aio.Server) -> None:
        server.add_generic_rpc_handlers((handler,))

    return Service(name, register)


def _implementation(descriptor: ServiceDescriptor, method: MethodDescriptor, servicers: list[object]) -> Any:  # noqa: ANN401 -- any method
    found = [getattr(servicer, method.name) for servicer in servicers if hasattr(servicer, method.name)]
    if len(found) != 1:
        message = f"{descriptor.full_name}.{method.name} is served by {len(found)} capabilities, not by one"
        raise UnservedMethodError(message)
    return found[0]


def _handler(method: MethodDescriptor, implementation: Any) -> grpc.RpcMethodHandler[Any, Any]:  # noqa: ANN401 -- any method
    return _HANDLERS[method.client_streaming, method.server_streaming](
        implementation,
        request_deserializer=GetMessageClass(method.input_type).FromString,
        response_serializer=GetMessageClass(method.output_type).SerializeToString,
    )
