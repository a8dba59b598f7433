"""The rules that stand in the contracts are kept: protovalidate runs on each request message."""

from __future__ import annotations

from typing import Any

import grpc
import protovalidate
from google.protobuf.message import DecodeError

from grpc_kit.errors import FieldViolation, ServiceError
from grpc_kit.interceptors.base import Call, CallInterceptor, Deserializer
from grpc_kit.interceptors.one_message import NoMessage

MOST_VIOLATIONS = 20


class _Undecodable:
    """Stands for bytes that are no message. Raising while decoding would end the call outside the chain."""


class ValidateInterceptor(CallInterceptor):
    """Refuses a message that breaks a rule with INVALID_ARGUMENT, naming each field."""

    def __init__(self) -> None:
        self._validator = protovalidate.Validator()

    def deserializer(self, inner: Deserializer | None) -> Deserializer | None:
        """Keep undecodable bytes until it is their turn to be refused: after authentication."""
        if inner is None:
            return None

        def decode(data: bytes) -> Any:  # noqa: ANN401 - any message of any contract
            try:
                return inner(data)
            except DecodeError:
                return _Undecodable()

        return decode

    async def check_request(self, call: Call, request: Any) -> None:  # noqa: ANN401 - any message of any contract
        """Check a request message; messages of other packages have no rules of ours."""
        if isinstance(request, (_Undecodable, NoMessage)):
            text = "The request is no message of this method."
            raise _invalid(text if isinstance(request, _Undecodable) else "The request holds no message.", [])
        if not call.method.startswith("/parley."):
            return
        violations = self._validator.collect_violations(request)
        if not violations:
            return
        fields = [
            FieldViolation(_path(violation.proto), _description(violation))
            for violation in violations[:MOST_VIOLATIONS]
        ]
        text = f"{fields[0].field}: {fields[0].description}"
        raise _invalid(text, fields)


def _invalid(message: str, fields: list[FieldViolation]) -> ServiceError:
    return ServiceError(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", message, field_violations=fields)


def _path(violation: Any) -> str:  # noqa: ANN401 - protovalidate's generated type has no stub of its own
    """Return the violated field as `meeting.settings.max_participants` or `tracks[2].mid`."""
    parts = []
    for element in violation.field.elements:
        subscript = getattr(element, "subscript", None)
        index = "" if subscript is None or subscript.field != "index" else f"[{subscript.value}]"
        parts.append(f"{element.field_name}{index}")
    return ".".join(parts)


def _description(violation: Any) -> str:  # noqa: ANN401 - as above
    """Return what is wrong; a pattern in words, as far as it can be said: people read this."""
    if violation.proto.rule_id != "string.pattern":
        return str(violation.proto.message)
    form = form_of(str(violation.rule_value))
    return f"must be of the form {form}" if form else "is not of the form that the contract asks for"


def form_of(pattern: str) -> str:
    """Return a resource name's pattern as the contracts write it: `meetings/{meeting}`; empty for other patterns."""
    parts = pattern.removeprefix("^").removesuffix("$").split("/")
    collections, ids = parts[::2], parts[1::2]
    if len(collections) != len(ids) or not all(name.isalpha() for name in collections):
        return ""
    return "/".join(f"{name}/{{{name.removesuffix('s')}}}" for name in collections)
