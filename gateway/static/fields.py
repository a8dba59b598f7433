"""Finds what a REST call's body says that the contract doesn't know: a misspelt field would be dropped in silence."""

import json
import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

from gateway.envoy.contracts import Binding, descriptor_files, rest_bindings


def check_fields(verb: str, path: str, body: bytes) -> str:
    """Checks the fields of a body.

    Args:
        verb: HTTP method of the call.
        path: Its path, without parameters.
        body: Its body.

    Returns:
        What is wrong, for people; empty: nothing, as far as is known here. What is no JSON the transcoder refuses.
    """
    binding = next((one for one in _bodies() if one.verb == verb and re.fullmatch(one.path_regex, path)), None)
    if binding is None or not body:
        return ""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return next(_unknown(value, _of_body(binding), "" if binding.body == "*" else f"{binding.body}."), "")


def _unknown(value: Any, message: Descriptor, path: str) -> Iterator[str]:  # noqa: ANN401 - JSON
    if not isinstance(value, dict):
        return
    fields = {name: field for field in message.fields for name in (field.name, field.json_name)}
    for key, inner in value.items():
        field = fields.get(key)
        if field is None:
            yield _sentence(f"{path}{key}", get_close_matches(key, [one.json_name for one in message.fields], 1))
        elif (fields_of := _message(field)) is not None:
            for one in inner if isinstance(inner, list) else [inner]:
                yield from _unknown(one, fields_of, f"{path}{field.name}.")


def _sentence(path: str, close: list[str]) -> str:
    hint = f' Did you mean "{close[0]}"?' if close else ""
    return f"{path}: this request has no such field.{hint}"


def _message(field: FieldDescriptor) -> Descriptor | None:
    """The message whose fields a field's JSON is made of; standard types have forms of their own."""
    message = field.message_type
    if message is None or message.file.package == "google.protobuf" or message.GetOptions().map_entry:
        return None
    return message


@cache
def _bodies() -> tuple[Binding, ...]:
    return tuple(binding for binding in rest_bindings() if binding.body)


@cache
def _of_body(binding: Binding) -> Descriptor:
    request: Descriptor = _pool().FindMessageTypeByName(binding.request)
    body = request if binding.body == "*" else request.fields_by_name[binding.body].message_type
    if body is None:
        message = f"the body of {binding.verb} {binding.path} is no message"
        raise TypeError(message)
    return body


@cache
def _pool() -> DescriptorPool:
    pool = DescriptorPool()
    for file in descriptor_files().file:
        pool.Add(file)
    return pool
