"""The servers behind Envoy."""

from gateway.envoy.json import Json, socket_address, typed
from gateway.settings import GatewaySettings

CONTROL_PLANE = "control_plane"
STATIC = "static"
OTLP_GRPC = "otlp_grpc"
OTLP_HTTP = "otlp_http"

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

# Every participant holds a stream, which is a request to Envoy; its default of 1,024 would be the size of a deployment.
_CALLS_AT_A_TIME = 200_000


def clusters(settings: GatewaySettings) -> list[Json]:
    """Control plane and web client, and the collectors that are set."""
    found = [_control_plane(settings), _static(settings)]
    if settings.otlp_endpoint:
        found.append(_cluster(OTLP_GRPC, settings.otlp_endpoint, _http2()))
    if settings.otlp_http_endpoint:
        found.append(_cluster(OTLP_HTTP, settings.otlp_http_endpoint, _http1()))
    return found


def _control_plane(settings: GatewaySettings) -> Json:
    cluster = _cluster(CONTROL_PLANE, settings.control_plane_target, _http2())
    cluster["lb_policy"] = "LEAST_REQUEST"
    cluster["circuit_breakers"] = {
        "thresholds": [{"max_requests": _CALLS_AT_A_TIME, "max_pending_requests": _CALLS_AT_A_TIME}]
    }
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


def _static(settings: GatewaySettings) -> Json:
    return _cluster(STATIC, settings.static_address, _http1())


def _cluster(name: str, address: str, protocol: Json) -> Json:
    return {
        "name": name,
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_PREFERRED",
        "connect_timeout": "1s",
        "per_connection_buffer_limit_bytes": 1_048_576,
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket_address(address)}}]}],
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
