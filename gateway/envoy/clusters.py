"""The servers behind Envoy."""

from collections.abc import Sequence

from gateway.envoy.json import Json, socket_address, typed
from gateway.settings import GatewaySettings
from grpc_kit.channel import split_targets

CONTROL_PLANE = "control_plane"
STATIC = "static"
OTLP_GRPC = "otlp_grpc"
OTLP_HTTP = "otlp_http"

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

# Every participant holds a stream, which is a request to Envoy; its default of 1,024 would be the size of a deployment.
_CALLS_AT_A_TIME = 200_000
_RETRIES_AT_A_TIME = 1_000


def clusters(settings: GatewaySettings) -> list[Json]:
    """Control plane and web client, and the collectors that are set."""
    found = [_control_plane(settings), _static(settings)]
    if settings.otlp_endpoint:
        found.append(_cluster(OTLP_GRPC, [settings.otlp_endpoint], _http2()))
    if settings.otlp_http_endpoint:
        found.append(_cluster(OTLP_HTTP, [settings.otlp_http_endpoint], _http1()))
    return found


def _control_plane(settings: GatewaySettings) -> Json:
    targets = split_targets(settings.control_plane_target)
    cluster = _cluster(CONTROL_PLANE, targets, _http2())
    cluster["lb_policy"] = "LEAST_REQUEST"
    # As long as one process is healthy, the others get no call.
    cluster["common_lb_config"] = {"healthy_panic_threshold": {"value": 1}}
    if len(targets) > 1:
        cluster["outlier_detection"] = _ejection()
    # All calls of a process that dies are tried again at once; Envoy would do so with three of them.
    retries = {"budget_percent": {"value": 20}, "min_retry_concurrency": _RETRIES_AT_A_TIME}
    limits = {"max_requests": _CALLS_AT_A_TIME, "max_pending_requests": _CALLS_AT_A_TIME, "retry_budget": retries}
    cluster["circuit_breakers"] = {"thresholds": [limits]}
    # A draining replica says NOT_SERVING first; /healthz is healthy while one replica is.
    cluster["health_checks"] = [
        {
            "timeout": "1s",
            "interval": "2s",
            "no_traffic_interval": "1s",
            "no_traffic_healthy_interval": "2s",
            "unhealthy_interval": "0.5s",
            "unhealthy_threshold": 2,
            "healthy_threshold": 1,
            "grpc_health_check": {},
        }
    ]
    return cluster


def _ejection() -> Json:
    """A process that can't be reached gets no call, sooner than its health is asked for.

    What it answers is no reason: UNAVAILABLE is what all of them say when a store is away.
    """
    answers = ("consecutive_5xx", "consecutive_gateway_failure", "success_rate", "local_origin_success_rate")
    return {
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": 2,
        "interval": "1s",
        "base_ejection_time": "1s",
        "max_ejection_time": "5s",
        "max_ejection_percent": 50,
        **{f"enforcing_{answer}": 0 for answer in answers},
    }


def _static(settings: GatewaySettings) -> Json:
    return _cluster(STATIC, [settings.static_address], _http1())


def _cluster(name: str, addresses: Sequence[str], protocol: Json) -> Json:
    return {
        "name": name,
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_PREFERRED",
        "connect_timeout": "1s",
        "per_connection_buffer_limit_bytes": 1_048_576,
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": socket_address(address)}} for address in addresses]}
            ],
        },
        "typed_extension_protocol_options": {_HTTP_OPTIONS: protocol},
    }


def _http2() -> Json:
    # The control plane's servers take a ping each 10 s at most (grpc_kit.server).
    keepalive = {"interval": "20s", "timeout": "5s"}
    options = {"connection_keepalive": keepalive, "max_concurrent_streams": 1_000}
    return typed(_HTTP_OPTIONS.removeprefix("envoy."), explicit_http_config={"http2_protocol_options": options})


def _http1() -> Json:
    return typed(_HTTP_OPTIONS.removeprefix("envoy."), explicit_http_config={"http_protocol_options": {}})
