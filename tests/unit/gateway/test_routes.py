"""Routes follow from the contracts."""

from typing import Any

import pytest

from gateway.envoy.contracts import PUBLIC_SERVICES, public_methods
from gateway.envoy.filters import http_filters
from gateway.envoy.routes import route_configuration
from gateway.settings import GatewaySettings


@pytest.fixture
def routes() -> list[dict[str, Any]]:
    [host] = route_configuration(GatewaySettings())["virtual_hosts"]
    found: list[dict[str, Any]] = host["routes"]
    return found


def test_only_methods_that_the_contract_calls_idempotent_are_retried(routes: list[dict[str, Any]]) -> None:
    retried = {route["match"].get("path") for route in routes if "retry_policy" in route.get("route", {})}

    assert "/parley.meeting.v1.MeetingService/ListMeetings" in retried
    assert "/parley.signaling.v1.SignalingService/JoinMeeting" not in retried
    assert "/parley.meeting.v1.MeetingService/CreateMeeting" not in retried
    idempotent = {method.path for method in public_methods() if method.idempotent and not method.streaming}
    assert retried - {None} == idempotent


def test_streams_have_no_deadline_and_a_limit_on_silence(routes: list[dict[str, Any]]) -> None:
    path = "/parley.signaling.v1.SignalingService/WatchSession"
    [stream] = [route for route in routes if route["match"].get("path") == path]

    assert stream["route"]["timeout"] == "0s"
    assert stream["route"]["idle_timeout"] == "60s"
    assert "retry_policy" not in stream["route"]


def test_every_public_method_is_traced_by_its_name(routes: list[dict[str, Any]]) -> None:
    named = {route["decorator"]["operation"] for route in routes if "decorator" in route}

    assert {f"{method.service}/{method.name}" for method in public_methods()} <= named


def test_services_of_the_inside_are_not_public(routes: list[dict[str, Any]]) -> None:
    assert not {service for service in PUBLIC_SERVICES if ".node." in service or ".sfu." in service}
    reached = [route for route in routes if route.get("route", {}).get("cluster") == "control_plane"]
    assert not [route for route in reached if "NodeService" in str(route["match"]) or "Sfu" in str(route["match"])]
    assert not [route for route in reached if route["match"].get("prefix") == "/"]


def test_filters_stand_in_the_order_of_the_design() -> None:
    names = [filter_["name"].rpartition(".")[2] for filter_ in http_filters(GatewaySettings())]

    assert names == [
        "health_check",
        "cors",
        "local_ratelimit",
        "grpc_web",
        "ext_authz",
        "buffer",
        "grpc_json_transcoder",
        "grpc_stats",
        "router",
    ]
