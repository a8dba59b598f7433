"""The HTTP filters, in the order in which a request passes them."""

import base64

from gateway.envoy.clusters import CONTROL_PLANE, STATIC
from gateway.envoy.contracts import PUBLIC_SERVICES, public_methods, transcoder_descriptors
from gateway.envoy.json import Json, extension
from gateway.envoy.routes import BUFFER, CORS, FIELD_CHECK, TRANSCODER
from gateway.settings import GatewaySettings

HEALTH_PATH = "/healthz"
FIELDS_PATH = "/rest-fields"

_HTTP = "extensions.filters.http"


def http_filters(settings: GatewaySettings) -> list[Json]:
    """Health, CORS, rate limit, gRPC-Web, fields and whole bodies of REST, JSON transcoding, statistics, router."""
    return [
        _health_check(),
        extension(CORS, f"{_HTTP}.cors.v3.Cors"),
        # Behind a proxy a connection is many people's: one of them who runs wild would keep all others out.
        *([] if settings.trusted_proxies else [_local_rate_limit(settings)]),
        extension("envoy.filters.http.grpc_web", f"{_HTTP}.grpc_web.v3.GrpcWeb"),
        _field_check(settings),
        _buffer(settings),
        _transcoder(),
        _grpc_stats(),
        extension("envoy.filters.http.router", f"{_HTTP}.router.v3.Router"),
    ]


def _health_check() -> Json:
    return extension(
        "envoy.filters.http.health_check",
        f"{_HTTP}.health_check.v3.HealthCheck",
        pass_through_mode=False,
        headers=[{"name": ":path", "string_match": {"exact": HEALTH_PATH}}],
        cluster_min_healthy_percentages={CONTROL_PLANE: {"value": 1}},
    )


def _local_rate_limit(settings: GatewaySettings) -> Json:
    """A bucket for each connection: it stops a client that runs wild; who may do how much is the control plane's."""
    every = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    # Ten fills a second: finer would cost timers, coarser would let requests come in bursts.
    return extension(
        "envoy.filters.http.local_ratelimit",
        f"{_HTTP}.local_ratelimit.v3.LocalRateLimit",
        stat_prefix="parley",
        token_bucket={
            "max_tokens": settings.connection_request_burst,
            "tokens_per_fill": max(1, settings.connection_requests_per_second // 10),
            "fill_interval": "0.1s",
        },
        filter_enabled={"runtime_key": "parley.rate_limit.enabled", **every},
        filter_enforced={"runtime_key": "parley.rate_limit.enforced", **every},
        local_rate_limit_per_downstream_connection=True,
        rate_limited_as_resource_exhausted=True,
    )


def _field_check(settings: GatewaySettings) -> Json:
    """Refuses bodies of REST calls with fields that the contract has not: the transcoder would drop them in silence.

    The server of the web client looks at them (`gateway.static.fields`); without it calls go on as they are.
    """
    check = extension(
        FIELD_CHECK,
        f"{_HTTP}.ext_authz.v3.ExtAuthz",
        http_service={
            "server_uri": {"uri": f"http://{settings.static_address}", "cluster": STATIC, "timeout": "2s"},
            "path_prefix": FIELDS_PATH,
        },
        with_request_body={"max_request_bytes": settings.max_request_bytes, "allow_partial_message": False},
        disallowed_headers={"patterns": [{"exact": "authorization"}, {"exact": "cookie"}]},
        failure_mode_allow=True,
        transport_api_version="V3",
    )
    return check | {"disabled": True}


def _buffer(settings: GatewaySettings) -> Json:
    """Bounds the bodies of REST calls, whose routes enable it.

    The transcoder takes a body as it comes, and its own limit counts only what it has not read yet: a large body in
    small pieces would pass it.
    """
    limit = extension(BUFFER, f"{_HTTP}.buffer.v3.Buffer", max_request_bytes=settings.max_request_bytes)
    return limit | {"disabled": True}


def _transcoder() -> Json:
    return extension(
        TRANSCODER,
        f"{_HTTP}.grpc_json_transcoder.v3.GrpcJsonTranscoder",
        proto_descriptor_bin=base64.b64encode(transcoder_descriptors()).decode(),
        services=list(PUBLIC_SERVICES),
        # Answers are as proto3 JSON says: lowerCamelCase, unset fields left out, enums by name.
        print_options={},
        convert_grpc_status=True,
        # A misspelt parameter is an error, not a default.
        request_validation_options={
            "reject_unknown_query_parameters": True,
            # What the path says can't be said otherwise by the body.
            "reject_binding_body_field_collisions": True,
        },
    )


def _grpc_stats() -> Json:
    services: dict[str, list[str]] = {service: [] for service in PUBLIC_SERVICES}
    for method in public_methods():
        services[method.service].append(method.name)
    allowed = [{"name": service, "method_names": names} for service, names in services.items()]
    return extension(
        "envoy.filters.http.grpc_stats",
        f"{_HTTP}.grpc_stats.v3.FilterConfig",
        individual_method_stats_allowlist={"services": allowed},
        enable_upstream_stats=True,
    )
