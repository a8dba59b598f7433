"""Routes follow from the contracts."""

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.envoy.clusters import CONTROL_PLANE, clusters
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


def test_a_retry_goes_to_another_process(routes: list[dict[str, Any]]) -> None:
    path = "/parley.meeting.v1.MeetingService/ListMeetings"
    [retried] = [route for route in routes if route["match"].get("path") == path]

    [predicate] = retried["route"]["retry_policy"]["retry_host_predicate"]
    assert predicate["name"] == "envoy.retry_host_predicates.previous_hosts"


def _control_plane(target: str) -> dict[str, Any]:
    [cluster] = [one for one in clusters(GatewaySettings(control_plane_target=target)) if one["name"] == CONTROL_PLANE]
    return cluster


def _addresses(cluster: dict[str, Any]) -> list[tuple[str, int]]:
    endpoints = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    found = [one["endpoint"]["address"]["socket_address"] for one in endpoints]
    return [(one["address"], one["port_value"]) for one in found]


def test_calls_are_spread_over_all_processes_of_the_control_plane() -> None:
    cluster = _control_plane("127.0.0.1:8081, [::1]:8082,plane:8083")

    assert _addresses(cluster) == [("127.0.0.1", 8081), ("::1", 8082), ("plane", 8083)]
    assert cluster["lb_policy"] == "LEAST_REQUEST"
    assert cluster["health_checks"][0]["grpc_health_check"] == {}
    ejection = cluster["outlier_detection"]
    assert ejection["consecutive_local_origin_failure"] > 0
    # What processes answer ejects none: while a store is away, all of them answer UNAVAILABLE.
    enforced = {name for name in ejection if name.startswith("enforcing_") and ejection[name]}
    assert not enforced
    assert {"enforcing_consecutive_5xx", "enforcing_consecutive_gateway_failure"} <= ejection.keys()


def test_a_single_process_is_never_ejected() -> None:
    cluster = _control_plane("control-plane:8081")

    assert _addresses(cluster) == [("control-plane", 8081)]
    assert "outlier_detection" not in cluster


@pytest.mark.parametrize("target", ["", "host", "a:1,", "a:1,,b:2", "a:1;b:2"])
def test_a_target_that_is_none_is_refused(target: str) -> None:
    with pytest.raises(ValidationError):
        GatewaySettings(control_plane_target=target)


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
