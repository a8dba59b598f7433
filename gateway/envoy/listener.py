"""The listener: one port for everything, with or without TLS."""

from gateway.envoy.clusters import OTLP_GRPC
from gateway.envoy.errors import local_reply_config
from gateway.envoy.filters import http_filters
from gateway.envoy.json import Json, extension, typed
from gateway.envoy.routes import route_configuration
from gateway.settings import GatewaySettings

_SERVICE_NAME = "parley-gateway"
_BUFFER_BYTES = 1_048_576


def listener(settings: GatewaySettings) -> Json:
    """The public listener."""
    address = {"socket_address": {"address": settings.bind_address, "port_value": settings.port}}
    common: Json = {
        "name": "public",
        "address": address,
        "per_connection_buffer_limit_bytes": _BUFFER_BYTES,
        # Two gateways on one port would share callers by chance; with TCP the threads take turns well enough.
        "enable_reuse_port": False,
    }
    manager = _connection_manager(settings)
    if settings.tls_certificate_file is None:
        return common | {"filter_chains": [{"filters": [manager]}]}
    inspector = extension(
        "envoy.filters.listener.tls_inspector", "extensions.filters.listener.tls_inspector.v3.TlsInspector"
    )
    secure = {
        "filter_chain_match": {"transport_protocol": "tls"},
        "filters": [manager],
        "transport_socket": _tls(settings),
    }
    return common | {"listener_filters": [inspector], "filter_chains": [secure, _redirect_to_https()]}


def _connection_manager(settings: GatewaySettings) -> Json:
    # The values that Envoy's guide for edge proxies recommends, and limits on what one client may use.
    fields: Json = {
        "stat_prefix": "public",
        "codec_type": "AUTO",
        "use_remote_address": True,
        "xff_num_trusted_hops": settings.trusted_proxies,
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "common_http_protocol_options": {
            "idle_timeout": "900s",
            "headers_with_underscores_action": "REJECT_REQUEST",
            "max_headers_count": 100,
        },
        "http2_protocol_options": {
            "max_concurrent_streams": 256,
            "initial_stream_window_size": 262_144,
            "initial_connection_window_size": 1_048_576,
            "connection_keepalive": {"interval": "30s", "timeout": "10s"},
        },
        # Below what a gRPC server takes (grpc_kit.server), which would refuse them by chance and in other words.
        "max_request_headers_kb": 16,
        "request_headers_timeout": "10s",
        "stream_idle_timeout": "120s",
        "server_header_transformation": "PASS_THROUGH",
        "local_reply_config": local_reply_config(),
        "access_log": [_access_log()],
        "http_filters": http_filters(settings),
        "route_config": route_configuration(settings),
    }
    if settings.otlp_endpoint:
        fields["tracing"] = _tracing(settings.trace_sampling_percent)
    return _network_filter(fields)


def _network_filter(fields: Json) -> Json:
    return extension(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        **fields,
    )


def _access_log() -> Json:
    # Paths without their query, and no header that may hold a token.
    fields = {
        "time": "%START_TIME%",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ)%",
        "called": "%PATH(NQ:ORIG)%",
        "protocol": "%PROTOCOL%",
        "status": "%RESPONSE_CODE%",
        "grpc_status": "%GRPC_STATUS_NUMBER%",
        "why": "%RESPONSE_CODE_DETAILS%",
        "flags": "%RESPONSE_FLAGS%",
        "duration_ms": "%DURATION%",
        "upstream_ms": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
        "bytes_in": "%BYTES_RECEIVED%",
        "bytes_out": "%BYTES_SENT%",
        "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
        "upstream": "%UPSTREAM_HOST%",
        "trace_id": "%TRACE_ID%",
        "request_id": "%REQ(X-REQUEST-ID)%",
    }
    return extension(
        "envoy.access_loggers.stdout",
        "extensions.access_loggers.stream.v3.StdoutAccessLog",
        log_format={"json_format": fields},
    )


def _tracing(sampling_percent: float) -> Json:
    provider = extension(
        "envoy.tracers.opentelemetry",
        "config.trace.v3.OpenTelemetryConfig",
        grpc_service={"envoy_grpc": {"cluster_name": OTLP_GRPC}, "timeout": "1s"},
        service_name=_SERVICE_NAME,
    )
    return {
        "provider": provider,
        "random_sampling": {"value": sampling_percent},
        "spawn_upstream_span": False,
        # A path may hold a name that somebody chose; the operation says enough.
        "max_path_tag_length": 1,
    }


def _tls(settings: GatewaySettings) -> Json:
    certificate = {
        "certificate_chain": {"filename": str(settings.tls_certificate_file)},
        "private_key": {"filename": str(settings.tls_key_file)},
    }
    context = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "tls_certificates": [certificate],
    }
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": typed("extensions.transport_sockets.tls.v3.DownstreamTlsContext", common_tls_context=context),
    }


def _redirect_to_https() -> Json:
    """Whoever types the address without https is sent to it."""
    host = {
        "name": "redirect",
        "domains": ["*"],
        "routes": [{"match": {"prefix": "/"}, "redirect": {"https_redirect": True}}],
    }
    router = extension("envoy.filters.http.router", "extensions.filters.http.router.v3.Router")
    manager = _network_filter(
        {
            "stat_prefix": "redirect",
            "http_filters": [router],
            "route_config": {"name": "redirect", "virtual_hosts": [host]},
        }
    )
    return {"filter_chain_match": {"transport_protocol": "raw_buffer"}, "filters": [manager]}
