"""What a caller gives twice, misspells, or sends by the wrong way is refused with a reason, and never guessed at."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import httpx
import pytest

from gateway.envoy.contracts import Binding, public_methods, rest_bindings
from tests.integration.gateway.conftest import Gateway

A, B = "12345678901", "98765432109"
PERSON = "0b9f7a52-3f0e-4c39-9f3a-0d4a5a5f0a01"
BINDINGS = [binding for binding in rest_bindings() if binding.path_fields]


def filled(pattern: str, meeting: str) -> str:
    """A path for a meeting, or the value of its field."""
    for name, value in (("meetings", meeting), ("participants", PERSON), ("users", PERSON), ("sessions", PERSON)):
        pattern = pattern.replace(f"{name}/*", f"{name}/{value}")
    return pattern.replace("*", meeting)


def path_of(binding: Binding) -> str:
    path = binding.path
    for field in binding.path_fields:
        start = path.index("{" + field + "=")
        end = path.index("}", start)
        path = path[:start] + path[start + len(field) + 2 : end] + path[end + 1 :]
    return filled(path, A)


def value_of(binding: Binding, field: str) -> str:
    start = binding.path.index("{" + field + "=") + len(field) + 2
    return filled(binding.path[start : binding.path.index("}", start)], B).replace(PERSON, PERSON[::-1])


def names(bindings: Sequence[Binding]) -> list[str]:
    return [f"{one.verb} {one.path}" for one in bindings]


async def call(gateway: Gateway, binding: Binding, query: str = "", body: object = None) -> httpx.Response:
    content = b"" if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    return await gateway.client.request(binding.verb, path_of(binding) + query, content=content, headers=headers)


def reason(answer: httpx.Response) -> str:
    body = answer.json()
    assert body["code"] == 3
    assert body["message"]
    [info] = [detail for detail in body["details"] if detail["@type"].endswith("ErrorInfo")]
    return str(info["reason"])


def test_there_are_calls_with_fields_in_their_path() -> None:
    assert len(BINDINGS) > 15


@pytest.mark.parametrize("hidden", ["{name}={value}", "x=1&{name}={value}", "{escaped}={value}", "{name}"])
@pytest.mark.parametrize("binding", BINDINGS, ids=names(BINDINGS))
async def test_a_parameter_does_not_name_another_resource_than_the_path(
    gateway: Gateway, binding: Binding, hidden: str
) -> None:
    """REST-1: `DELETE /v1/meetings/A?name=meetings/B` deleted B."""
    for field in binding.path_fields:
        escaped = f"{field[:-1]}%{ord(field[-1]):02x}"
        query = "?" + hidden.format(name=field, escaped=escaped, value=value_of(binding, field))
        answer = await call(gateway, binding, query, {} if binding.body else None)
        assert (answer.status_code, reason(answer)) == (400, "INVALID_ARGUMENT")
    assert gateway.upstream.calls == []


@pytest.mark.parametrize("end", ["/", "//"])
@pytest.mark.parametrize("binding", BINDINGS, ids=names(BINDINGS))
async def test_slashes_at_the_end_of_a_path_hide_no_parameter(gateway: Gateway, binding: Binding, end: str) -> None:
    """REST-1: the transcoder takes `/v1/meetings/A/` for `/v1/meetings/A`."""
    for field in binding.path_fields:
        query = f"{end}?{field}={value_of(binding, field)}"
        answer = await call(gateway, binding, query, {} if binding.body else None)
        assert answer.status_code in {400, 404}, "a verb before a slash is none, so that such a path is unknown"
    assert gateway.upstream.calls == []


WITH_BODY = [binding for binding in BINDINGS if binding.body]


@pytest.mark.parametrize("binding", WITH_BODY, ids=names(WITH_BODY))
async def test_a_body_does_not_name_another_resource_than_the_path(gateway: Gateway, binding: Binding) -> None:
    """REST-1: the body beat the path."""
    for field in binding.path_fields:
        inner = field.removeprefix(f"{binding.body}.")
        answer = await call(gateway, binding, body={inner: value_of(binding, field)})
        assert (answer.status_code, reason(answer)) == (400, "INVALID_ARGUMENT")
    assert gateway.upstream.calls == []


ALL_WITH_BODY = [binding for binding in rest_bindings() if binding.body]


@pytest.mark.parametrize("binding", ALL_WITH_BODY, ids=names(ALL_WITH_BODY))
async def test_a_field_that_the_contract_has_not_is_refused(gateway: Gateway, binding: Binding) -> None:
    """REST-7: it was dropped in silence."""
    answer = await call(gateway, binding, body={"topik": "Plans"})
    assert (answer.status_code, reason(answer)) == (400, "INVALID_ARGUMENT")
    assert "topik: this request has no such field." in answer.json()["message"]
    assert gateway.upstream.calls == []


async def test_slashes_at_the_end_of_a_path_hide_no_misspelt_field(gateway: Gateway) -> None:
    answer = await gateway.client.post("/v1/meetings//", json={"topik": "Plans"})
    assert (answer.status_code, reason(answer)) == (400, "INVALID_ARGUMENT")
    assert gateway.upstream.calls == []


async def test_a_misspelt_field_inside_says_where_it_is_and_what_was_meant(gateway: Gateway) -> None:
    body = {"settings": {"muteOnEntri": True}}
    answer = await gateway.client.post("/v1/meetings", json=body)
    assert answer.json()["message"] == (
        'meeting.settings.muteOnEntri: this request has no such field. Did you mean "muteOnEntry"?'
    )


@pytest.mark.parametrize("body", [{"email": "a", "password": "b"}, {}])
async def test_known_fields_pass(gateway: Gateway, body: dict[str, str]) -> None:
    answer = await gateway.client.post("/v1/users:signIn", json=body)
    assert answer.status_code == 200


async def test_without_the_web_clients_server_calls_go_on(gateway: Gateway) -> None:
    gateway.static.stop()
    try:
        answer = await gateway.client.post("/v1/users:signIn", json={"email": "a", "pasword": "b"})
    finally:
        gateway.static.start()
    assert answer.status_code == 200


@pytest.mark.parametrize("verb", ["GET", "POST", "PUT"])
@pytest.mark.parametrize("content", [None, "application/json", "text/plain"])
async def test_a_grpc_method_called_otherwise_says_how(gateway: Gateway, verb: str, content: str | None) -> None:
    """HTTP-1: it answered that the service was shutting down."""
    for method in public_methods():
        headers = {} if content is None else {"content-type": content}
        answer = await gateway.client.request(
            verb, method.path, content=b"" if verb == "GET" else b"{}", headers=headers
        )
        assert (answer.status_code, reason(answer)) == (415, "INVALID_ARGUMENT")
        assert "retry-after" not in answer.headers
    assert gateway.upstream.calls == []


async def test_a_grpc_web_call_without_a_message_is_answered_at_once(gateway: Gateway) -> None:
    """HTTP-2: it took 20 s. The deadline here is the client's own."""
    headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
    path = "/parley.identity.v1.IdentityService/SignIn"
    async with asyncio.timeout(10):
        answer = await gateway.client.post(path, content=b"", headers=headers)
    assert answer.headers["grpc-status"] == "3"


@pytest.mark.parametrize("size", [17_000, 17_500, 20_000, 30_000, 60_000])
async def test_headers_too_large_are_always_refused_in_the_same_words(gateway: Gateway, size: int) -> None:
    """HTTP-3: between 16 and 32 KB chance decided, with inner words."""
    for _ in range(5):
        answer = await gateway.client.get(f"/v1/meetings/{A}", headers={"authorization": "Bearer " + "a" * size})
        assert (answer.status_code, answer.json()["message"]) == (431, "The headers are too large.")
    assert gateway.upstream.calls == []


@pytest.mark.parametrize("size", [1_000, 8_000, 15_000])
async def test_headers_that_are_large_but_allowed_always_pass(gateway: Gateway, size: int) -> None:
    for _ in range(10):
        answer = await gateway.client.get(f"/v1/meetings/{A}", headers={"authorization": "Bearer " + "a" * size})
        assert answer.status_code == 200


@pytest.mark.parametrize("path", [f"/v1/meetings/{A}", "/v1/meetings", "/v1/meetings?pageSize=3", "/v1/users/me"])
async def test_head_of_a_rest_path_is_refused_with_what_is_allowed(gateway: Gateway, path: str) -> None:
    """HTTP-8: it answered that there is no such path."""
    for _ in range(2):
        head = await gateway.client.head(path)
        assert (head.status_code, head.headers["allow"], head.content) == (405, "GET", b"")
    assert gateway.upstream.calls == []
    assert (await gateway.client.head("/v1/nothing")).status_code == 404


@pytest.mark.parametrize("path", ["/", "/j/12345678901", "/healthz"])
async def test_head_is_get_without_its_body(gateway: Gateway, path: str) -> None:
    got, head = await gateway.client.get(path), await gateway.client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers.get("content-type") == got.headers.get("content-type")
