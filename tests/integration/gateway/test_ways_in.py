"""gRPC, gRPC-Web and REST through Envoy, on one port and in the same words."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import httpx
import pytest

from grpc_kit.errors import FieldViolation, ServiceError
from parley.identity.v1 import identity_service_pb2 as identity
from parley.meeting.v1 import meeting_service_pb2 as meeting
from parley.signaling.v1 import signaling_service_pb2 as signaling
from tests.integration.gateway.conftest import PAGE, Gateway
from tests.support.transports import GrpcWeb, Transport, method
from tests.support.waiting import until

SIGN_IN = identity.SignInRequest(email="ann@example.com", password="correct horse")
WAYS = ["grpc", "grpc-web", "rest"]


def way(gateway: Gateway, name: str) -> Transport:
    return next(transport for transport in gateway.transports if transport.name == name)


@pytest.mark.parametrize("name", WAYS)
async def test_a_call_gets_its_answer(gateway: Gateway, name: str) -> None:
    outcome = await way(gateway, name).call(method("IdentityService.SignIn"), SIGN_IN)

    assert outcome.code is grpc.StatusCode.OK
    assert isinstance(outcome.response, identity.SignInResponse)
    assert outcome.response.user.display_name == "ann@example.com"
    assert [request for request, _ in gateway.upstream.calls] == [SIGN_IN]


@pytest.mark.parametrize("name", WAYS)
async def test_token_and_trace_context_pass(gateway: Gateway, name: str) -> None:
    await way(gateway, name).call(method("IdentityService.SignIn"), SIGN_IN, token="abc")

    [(_, metadata)] = gateway.upstream.calls
    assert metadata["authorization"] == "Bearer abc"


async def test_trace_context_of_a_browser_passes(gateway: Gateway) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    await gateway.client.get("/v1/meetings", headers={"traceparent": parent})

    [(_, metadata)] = gateway.upstream.calls
    assert metadata["traceparent"] == parent


@pytest.mark.parametrize("name", WAYS)
async def test_an_error_keeps_reason_field_and_delay(gateway: Gateway, name: str) -> None:
    gateway.upstream.error = ServiceError(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "RATE_LIMITED",
        "Too many calls, naïvely.",
        metadata={"limit": "7"},
        field_violations=[FieldViolation("email", "is too loud")],
        retry_after=2.5,
    )

    outcome = await way(gateway, name).call(method("IdentityService.SignIn"), SIGN_IN)

    assert outcome.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (outcome.reason, outcome.domain) == ("RATE_LIMITED", "parley.dev")
    assert outcome.metadata == {"limit": "7"}
    assert outcome.fields == ("email",)
    assert outcome.retry_after == 2.5
    assert outcome.message == "Too many calls, naïvely."


@pytest.mark.parametrize("name", ["grpc", "grpc-web"])
async def test_a_server_stream_arrives(gateway: Gateway, name: str) -> None:
    request = signaling.WatchSessionRequest(name="meetings/12345678901/participants/x")

    outcome = await way(gateway, name).call(method("SignalingService.WatchSession"), request)

    assert isinstance(outcome.response, signaling.WatchSessionResponse)
    assert outcome.response.sequence == 1


async def test_rest_reads_paths_and_queries(gateway: Gateway) -> None:
    one = await gateway.client.get("/v1/meetings/12345678901")
    many = await gateway.client.get("/v1/meetings", params={"pageSize": 3, "page_token": "next"})

    assert one.json() == {"meeting": {"name": "meetings/12345678901"}}
    assert many.json() == {"nextPageToken": "next"}
    assert [request for request, _ in gateway.upstream.calls] == [
        meeting.GetMeetingRequest(name="meetings/12345678901"),
        meeting.ListMeetingsRequest(page_size=3, page_token="next"),
    ]


@pytest.mark.parametrize(
    ("verb", "path", "body", "status"),
    [
        ("POST", "/v1/users:signIn", b'{"email": ', 400),
        ("POST", "/v1/users:signIn", b'{"email": {"a": 1}}', 400),
        ("GET", "/v1/meetings?pageSise=3", b"", 400),
        ("GET", "/v1/meetings?pageSize=many", b"", 400),
        ("POST", "/v1/users:signIn", b'{"email": "' + b"x" * 300_000 + b'"}', 413),
        ("GET", "/v1/nothing", b"", 404),
        ("DELETE", "/v1/meetings", b"", 404),
    ],
)
async def test_a_bad_rest_request_gets_a_status_in_json(
    gateway: Gateway, verb: str, path: str, body: bytes, status: int
) -> None:
    answer = await gateway.client.request(verb, path, content=body, headers={"content-type": "application/json"})

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["code"] in {3, 5}
    assert answer.json()["message"]
    assert gateway.upstream.calls == []


async def test_a_body_too_large_is_refused_however_it_comes(gateway: Gateway) -> None:
    pieces = [b'{"email": "', *[b"x" * 4096] * 75, b'"}']

    async def slowly() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece
            await asyncio.sleep(0)

    answer = await gateway.client.post("/v1/users:signIn", content=slowly())

    assert answer.status_code == 413
    assert answer.json()["message"] == "The request's body is too large."
    assert gateway.upstream.calls == []


@pytest.mark.parametrize(
    "path",
    ["/parley.node.v1.NodeService/Report", "/parley.sfu.v1.SfuControlService/OpenRoom", "/nobody.v1.Nothing/Do"],
)
async def test_inner_services_are_not_there(gateway: Gateway, path: str) -> None:
    headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}

    answer = await gateway.client.post(path, content=b"\0\0\0\0\0", headers=headers)

    assert answer.headers["grpc-status"] == str(grpc.StatusCode.UNIMPLEMENTED.value[0])


@pytest.mark.parametrize("name", WAYS)
async def test_without_a_control_plane_calls_are_unavailable_and_say_when_to_retry(gateway: Gateway, name: str) -> None:
    await gateway.upstream.stop()
    try:
        outcome = await way(gateway, name).call(method("IdentityService.SignIn"), SIGN_IN)
        health = await until(_health(gateway), lambda status: status == httpx.codes.SERVICE_UNAVAILABLE)
    finally:
        await gateway.upstream.start()

    assert outcome.code is grpc.StatusCode.UNAVAILABLE
    assert outcome.reason == "SHUTTING_DOWN"
    assert outcome.retry_after == 1
    assert health == httpx.codes.SERVICE_UNAVAILABLE
    await until(_health(gateway), lambda status: status == httpx.codes.OK)


async def test_an_idempotent_call_outlives_a_short_absence(gateway: Gateway) -> None:
    """A connection that died with its server is found dead by the next call, which Envoy sends again if it may."""
    web = GrpcWeb(gateway.client)
    await web.call(method("MeetingService.ListMeetings"), meeting.ListMeetingsRequest())
    await gateway.upstream.stop()
    await gateway.upstream.start()

    outcome = await web.call(method("MeetingService.ListMeetings"), meeting.ListMeetingsRequest())

    assert outcome.code is grpc.StatusCode.OK


async def test_pages_of_the_client_are_the_index(gateway: Gateway) -> None:
    for path in ("/", "/j/12345678901", "/sign-in"):
        answer = await gateway.client.get(path)
        assert (answer.status_code, answer.text) == (200, PAGE)
        assert answer.headers["cache-control"] == "no-cache"
        assert "camera=(self)" in answer.headers["permissions-policy"]
        assert "script-src 'self'" in answer.headers["content-security-policy"]


async def test_assets_are_cached_for_ever_and_compressed(gateway: Gateway) -> None:
    answer = await gateway.client.get("/assets/main-1a2b.js")

    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-encoding"] == "gzip"
    again = await gateway.client.get("/assets/main-1a2b.js", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await gateway.client.get("/assets/main-other.js")).status_code == 404


@pytest.mark.parametrize(
    ("path", "status", "kind", "location"),
    [
        ("/docs/", 200, "text/html; charset=utf-8", None),
        ("/docs/engine/", 200, "text/html; charset=utf-8", None),
        ("/docs/search.json", 200, "application/json", None),
        ("/docs/engine", 308, None, "/docs/engine/"),
        ("/docs/no-such-page/", 404, "text/plain; charset=utf-8", None),
    ],
)
async def test_the_documentation_is_served_beside_the_client(
    gateway: Gateway, path: str, status: int, kind: str | None, location: str | None
) -> None:
    answer = await gateway.client.get(path)

    assert (answer.status_code, answer.headers.get("content-type")) == (status, kind)
    assert answer.headers.get("location") == location
    assert "script-src 'self' 'wasm-unsafe-eval';" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_other_origins_may_call_if_they_are_named(gateway: Gateway) -> None:
    preflight = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,x-grpc-web,traceparent",
    }
    path = "/parley.identity.v1.IdentityService/SignIn"

    friend = await gateway.client.options(path, headers={"origin": "https://example.com", **preflight})
    stranger = await gateway.client.options(path, headers={"origin": "https://example.org", **preflight})
    answer = await gateway.client.get("/v1/meetings", headers={"origin": "https://example.com"})

    assert friend.headers["access-control-allow-origin"] == "https://example.com"
    for name in ("authorization", "x-grpc-web", "traceparent", "content-type"):
        assert name in friend.headers["access-control-allow-headers"]
    assert "access-control-allow-origin" not in stranger.headers
    assert answer.headers["access-control-allow-origin"] == "https://example.com"
    for name in ("grpc-status", "grpc-message", "grpc-status-details-bin"):
        assert name in answer.headers["access-control-expose-headers"]


async def test_spans_of_browsers_are_taken_without_a_collector(gateway: Gateway) -> None:
    answer = await gateway.client.post("/v1/traces", content=b"{}", headers={"content-type": "application/json"})

    assert answer.status_code == 204


async def test_health(gateway: Gateway) -> None:
    assert await until(_health(gateway), lambda status: status == httpx.codes.OK)


async def test_the_access_log_holds_no_query_and_no_token(gateway: Gateway) -> None:
    await gateway.client.get("/v1/meetings?pageToken=hidden-query", headers={"authorization": "Bearer hidden-token"})

    async def lines() -> list[str]:
        return [line for line in gateway.log if '"called":"/v1/meetings"' in line]

    await until(lines)
    assert not [line for line in gateway.log if "hidden-" in line]


def _health(gateway: Gateway):  # type: ignore[no-untyped-def]  # noqa: ANN202
    async def probe() -> int:
        return (await gateway.client.get("/healthz")).status_code

    return probe
