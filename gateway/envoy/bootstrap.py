"""Everything Envoy is told at its start."""

from pathlib import Path

from gateway.envoy.clusters import clusters
from gateway.envoy.json import Json, extension, socket_address
from gateway.envoy.listener import listener
from gateway.settings import GatewaySettings

_OWNER_ONLY = 0o600


def bootstrap(settings: GatewaySettings, admin_socket: Path) -> Json:
    """Envoy's bootstrap configuration.

    Args:
        settings: What the deployment has set.
        admin_socket: Where Envoy's administrator listens, unless the settings give it an address.

    Returns:
        An `envoy.config.bootstrap.v3.Bootstrap` as JSON. It is complete: Envoy asks no other server for anything.
    """
    return {
        "node": {"id": "parley-gateway", "cluster": "parley-gateway"},
        "admin": {"address": _admin_address(settings, admin_socket)},
        "static_resources": {"listeners": [listener(settings)], "clusters": clusters(settings)},
        "overload_manager": {"resource_monitors": [_connection_limit(settings.max_connections)]},
    }


def _admin_address(settings: GatewaySettings, admin_socket: Path) -> Json:
    if settings.envoy_admin_address:
        return socket_address(settings.envoy_admin_address)
    return {"pipe": {"path": str(admin_socket), "mode": _OWNER_ONLY}}


def _connection_limit(connections: int) -> Json:
    return extension(
        "envoy.resource_monitors.global_downstream_max_connections",
        "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
        max_active_downstream_connections=connections,
    )
