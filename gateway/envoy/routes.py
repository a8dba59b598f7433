"""Which request goes where."""

import re
from collections.abc import Sequence

from gateway.envoy.clusters import CONTROL_PLANE, OTLP_HTTP, STATIC
from gateway.envoy.contracts import PUBLIC_SERVICES, Binding, Method, public_methods, rest_bindings
from gateway.envoy.json import Json, extension, typed
from gateway.settings import GatewaySettings
from grpc_kit.interceptors.base import CLIENT_ADDRESS

BUFFER = "envoy.filters.http.buffer"
TRANSCODER = "envoy.filters.http.grpc_json_transcoder"
FIELD_CHECK = "envoy.filters.http.ext_authz"
CORS = "envoy.filters.http.cors"

# Streams live as long as a meeting. They speak every 15 s (the checkpoint), so a minute of silence is a dead one.
_STREAM_IDLE = "60s"
_UNARY_TIMEOUT = "20s"

_STANDARD_SERVICES = (
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "grpc.health.v1.Health",
)

_GRPC_CONTENT: Json = {"name": "content-type", "string_match": {"prefix": "application/grpc"}}
_OTHERWISE: Json = {"invert_match": True, "treat_missing_header_as_empty": True}

_ALLOWED_HEADERS = (
    "authorization",
    "content-type",
    "grpc-timeout",
    "traceparent",
    "tracestate",
    "x-grpc-web",
    "x-user-agent",
)
_EXPOSED_HEADERS = ("grpc-status", "grpc-message", "grpc-status-details-bin", "retry-after")


def route_configuration(settings: GatewaySettings) -> Json:
    """All routes, in order.

    Contracts, standard services, calls of neither gRPC nor REST, spans of browsers, REST calls that give a field twice,
    what the API has not (REST calls are there until they are transcoded), the web client.
    """
    bindings = rest_bindings()
    routes = [
        *(_method_route(method) for method in public_methods()),
        *(_service_route(service) for service in PUBLIC_SERVICES),
        *(_stream_route(_grpc({"prefix": f"/{service}/"}), service) for service in _STANDARD_SERVICES),
        _not_grpc_route(),
        _browser_spans_route(settings),
        *(_head_route(binding) for binding in bindings if binding.verb == "GET"),
        *(_given_twice_route(binding) for binding in bindings if binding.path_fields),
        *_unknown_api_routes(),
        _static_route(),
    ]
    host = {
        "name": "parley",
        "domains": ["*"],
        "routes": routes,
        "typed_per_filter_config": {CORS: _cors_policy(settings.cors_origins)},
    }
    return {
        "name": "parley",
        "virtual_hosts": [host],
        "request_headers_to_add": [_client_address()],
        # One cluster is missing on purpose, see _unknown_api_routes.
        "validate_clusters": False,
    }


def _client_address() -> Json:
    # By the setting trusted_proxies, and whatever the client sends under this name: limits and logs rely on it.
    header = {"key": CLIENT_ADDRESS, "value": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"}
    return {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _method_route(method: Method) -> Json:
    match = _grpc({"path": method.path})
    operation = f"{method.service}/{method.name}"
    if method.streaming:
        return _stream_route(match, operation)
    action: Json = {"cluster": CONTROL_PLANE, "timeout": _UNARY_TIMEOUT}
    if method.idempotent:
        action["retry_policy"] = _retry_policy() | _elsewhere()
    return {"match": match, "route": action, "decorator": {"operation": operation}}


def _service_route(service: str) -> Json:
    # A method newer than this configuration: the control plane says whether it knows it.
    action = {"cluster": CONTROL_PLANE, "timeout": _UNARY_TIMEOUT}
    return {"match": _grpc({"prefix": f"/{service}/"}), "route": action, "decorator": {"operation": service}}


def _grpc(match: Json) -> Json:
    """Calls of gRPC and gRPC-Web alone: a server breaks others off, which looks as if it were not there."""
    return match | {"headers": [_GRPC_CONTENT]}


def _not_grpc_route() -> Json:
    # Not OPTIONS, since the CORS filter passes over routes with a direct response.
    no_preflight = {"name": ":method", "string_match": {"exact": "OPTIONS"}, "invert_match": True}
    return {
        "match": {"prefix": "/parley.", "headers": [_GRPC_CONTENT | _OTHERWISE, no_preflight]},
        "direct_response": {"status": 415},
        "typed_per_filter_config": {TRANSCODER: _no_transcoding()},
    }


def _head_route(binding: Binding) -> Json:
    """HEAD of a REST path that has a GET: the transcoder would answer it with a body, so it is refused."""
    headers = [
        {"name": ":method", "string_match": {"exact": "HEAD"}},
        {"name": ":path", "string_match": {"safe_regex": {"regex": rf"{binding.path_regex}(?:\?.*)?"}}},
    ]
    allow = {"header": {"key": "allow", "value": "GET"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    return {
        "match": {"prefix": "/v1/", "headers": headers},
        "direct_response": {"status": 405},
        "response_headers_to_add": [allow],
        "typed_per_filter_config": {TRANSCODER: _no_transcoding()},
    }


def _given_twice_route(binding: Binding) -> Json:
    """A parameter that names a field of the path would win over the path: another resource would be changed.

    A parameter's name has no need of escapes, under which it could hide.
    """
    fields = {name for field in binding.path_fields for name in (field, _camel(field))}
    names = "|".join(re.escape(name) for name in sorted(fields))
    key = rf"(?:(?:{names})(?:[.=&].*)?|[^=&]*%[^=&]*(?:[=&].*)?)"
    path = {"safe_regex": {"regex": rf"{binding.path_regex}\?(?:.*&)?{key}"}}
    headers = [
        {"name": ":method", "string_match": {"exact": binding.verb}},
        {"name": ":path", "string_match": path},
    ]
    stands = " and ".join(binding.path_fields)
    return {
        "match": {"prefix": "/v1/", "headers": headers},
        "direct_response": {
            "status": 400,
            "body": {"inline_string": f"{stands} stands in the path and can't be given again as a parameter."},
        },
        "typed_per_filter_config": {TRANSCODER: _no_transcoding()},
    }


def _camel(field: str) -> str:
    return re.sub(r"_([a-z])", lambda letter: letter[1].upper(), field)


def _stream_route(match: Json, operation: str) -> Json:
    action = {"cluster": CONTROL_PLANE, "timeout": "0s", "idle_timeout": _STREAM_IDLE}
    return {"match": match, "route": action, "decorator": {"operation": operation}}


def _retry_policy() -> Json:
    # Only where no answer came: an answer UNAVAILABLE came from a control plane, whose stores need no more calls then.
    return {
        "retry_on": "connect-failure,refused-stream,reset",
        "num_retries": 3,
        "retry_back_off": {"base_interval": "0.05s", "max_interval": "0.5s"},
    }


def _elsewhere() -> Json:
    """A retry goes to another process than the one that has failed, where there is one.

    The balancer draws again so often: one that has died has fewer calls under way, and is preferred otherwise.
    """
    previous = extension(
        "envoy.retry_host_predicates.previous_hosts",
        "extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
    )
    return {"retry_host_predicate": [previous], "host_selection_retry_max_attempts": 32}


def _browser_spans_route(settings: GatewaySettings) -> Json:
    route: Json = {
        "match": {"path": "/v1/traces", "headers": [{"name": ":method", "string_match": {"exact": "POST"}}]},
        "decorator": {"operation": "traces"},
        "typed_per_filter_config": {TRANSCODER: _no_transcoding(), **_whole_bodies()},
    }
    if settings.otlp_http_endpoint:
        # Spans are no reason to wait; nor is what browsers send about themselves traced in turn.
        route["route"] = {"cluster": OTLP_HTTP, "timeout": "5s"}
        route["tracing"] = {"random_sampling": {"numerator": 0}, "client_sampling": {"numerator": 0}}
        route["request_headers_to_remove"] = ["authorization", "cookie"]
    else:
        route["direct_response"] = {"status": 204}
    return route


def _unknown_api_routes() -> Sequence[Json]:
    # A route to a cluster that is not there, since the CORS filter passes over routes with a direct response: pages of
    # another origin could not ask for REST methods, whose routes are known only after transcoding.
    action = {"cluster": "none", "cluster_not_found_response_code": "NOT_FOUND"}
    # REST calls are here too until the transcoder has seen them.
    checks = _whole_bodies() | _known_fields()
    rest = {"match": {"prefix": "/v1/"}, "route": action, "typed_per_filter_config": checks}
    matches: Sequence[Json] = [{"prefix": "/parley."}, _grpc({"prefix": "/"})]
    return [rest, *({"match": match, "route": action} for match in matches)]


def _static_route() -> Json:
    return {
        "match": {"prefix": "/"},
        "route": {"cluster": STATIC, "timeout": "15s", "retry_policy": _retry_policy()},
        "decorator": {"operation": "web client"},
        "typed_per_filter_config": {TRANSCODER: _no_transcoding()},
    }


def _no_transcoding() -> Json:
    return typed(
        "extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder", proto_descriptor_bin="", services=[]
    )


def _whole_bodies() -> Json:
    return {BUFFER: typed("config.route.v3.FilterConfig", config={})}


def _known_fields() -> Json:
    return {FIELD_CHECK: typed("config.route.v3.FilterConfig", config={})}


def _cors_policy(origins: Sequence[str]) -> Json:
    return typed(
        "extensions.filters.http.cors.v3.CorsPolicy",
        allow_origin_string_match=[_origin(origin) for origin in origins],
        allow_methods="GET, POST, PATCH, DELETE, OPTIONS",
        allow_headers=", ".join(_ALLOWED_HEADERS),
        expose_headers=", ".join(_EXPOSED_HEADERS),
        max_age="86400",
        forward_not_matching_preflights=False,
    )


def _origin(origin: str) -> Json:
    return {"safe_regex": {"regex": ".*"}} if origin == "*" else {"exact": origin}
