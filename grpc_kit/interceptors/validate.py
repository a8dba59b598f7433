"""The rules that stand in the contracts are kept: protovalidate runs on each request message."""

from __future__ import annotations

from typing import Any

import grpc
import protovalidate

from grpc_kit.errors import FieldViolation, ServiceError
from grpc_kit.interceptors.base import Call, CallInterceptor

MOST_VIOLATIONS = 20


class ValidateInterceptor(CallInterceptor):
    """Refuses a message that breaks a rule with INVALID_ARGUMENT, naming each field."""

    def __init__(self) -> None:
        self._validator = protovalidate.Validator()

    async def check_request(self, call: Call, request: Any) -> None:  # noqa: ANN401 - any message of any contract
        """Check a request message; messages of other packages have no rules of ours."""
        if not call.method.startswith("/parley."):
            return
        violations = self._validator.collect_violations(request)
        if not violations:
            return
        fields = [
            FieldViolation(_path(violation.proto), violation.proto.message)
            for violation in violations[:MOST_VIOLATIONS]
        ]
        raise ServiceError(
            grpc.StatusCode.INVALID_ARGUMENT,
            "INVALID_ARGUMENT",
            f"{fields[0].field}: {fields[0].description}",
            field_violations=fields,
        )


def _path(violation: Any) -> str:  # noqa: ANN401 - protovalidate's generated type has no stub of its own
    """Return the violated field as `meeting.settings.max_participants` or `tracks[2].mid`."""
    parts = []
    for element in violation.field.elements:
        subscript = getattr(element, "subscript", None)
        index = "" if subscript is None or subscript.field != "index" else f"[{subscript.value}]"
        parts.append(f"{element.field_name}{index}")
    return ".".join(parts)
