"""Contracts that a test makes up."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count

from google.protobuf import descriptor_pb2, descriptor_pool, wrappers_pb2

from parley.options.v1 import access_pb2

_NUMBERS = count(1)


def define_service(methods: Mapping[str, access_pb2.Access | None], name: str = "") -> str:
    """Adds a service to the contracts that this process knows.

    Args:
        methods: Names of its methods, which take and give a StringValue; who may call them, None: they don't say.
        name: Its name in the package `test`; empty: one that nobody else has.

    Returns:
        Its full name.
    """
    name = name or f"Service{next(_NUMBERS)}"
    file = descriptor_pb2.FileDescriptorProto(name=f"test/{name.lower()}.proto", package="test", syntax="proto3")
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    service = file.service.add(name=name)
    for method, access in methods.items():
        added = service.method.add(
            name=method, input_type=".google.protobuf.StringValue", output_type=".google.protobuf.StringValue"
        )
        if access is not None:
            added.options.Extensions[access_pb2.access].CopyFrom(access)
    descriptor_pool.Default().Add(file)
    return f"test.{name}"
