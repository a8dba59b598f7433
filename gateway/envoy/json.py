"""Small builders for Envoy's JSON."""

from typing import Any

Json = dict[str, Any]

_TYPES = "type.googleapis.com/envoy"


def typed(kind: str, **fields: Any) -> Json:  # noqa: ANN401 - JSON
    """A message inside a `google.protobuf.Any`; `kind` is its full name without the leading `envoy.`."""
    return {"@type": f"{_TYPES}.{kind}", **fields}


def extension(name: str, kind: str, **fields: Any) -> Json:  # noqa: ANN401 - JSON
    """A named extension (filter, access log, tracer) with its typed configuration."""
    return {"name": name, "typed_config": typed(kind, **fields)}


def socket_address(address: str) -> Json:
    """`host:port` as an Envoy address."""
    host, _, port = address.rpartition(":")
    return {"socket_address": {"address": host.strip("[]"), "port_value": int(port)}}
