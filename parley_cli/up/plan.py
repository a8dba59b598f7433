"""Which parts run with which settings."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.envoy import bootstrap
from parley_cli.errors import CommandError
from parley_cli.parts import EnvoyPart, PostgresPart, PythonPart, RedisPart
from parley_cli.ports import check_port, free_port
from parley_cli.settings import Settings
from parley_cli.up.data_folder import DataFolder
from parley_cli.up.liveness import HealthWatch
from parley_cli.up.logs import RotatingLog
from parley_cli.up.network import host_name, lan_addresses, local_certificate
from parley_cli.up.supervisor import Supervised

_EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - what --lan means
_LOOPBACK = "127.0.0.1"
_CORES_OF_A_PROCESS = 2

# Callers are let go first, then the node says goodbye to the control plane, then that ends its calls, then the stores.
_GATEWAY_STAGE, _NODE_STAGE, _CONTROL_STAGE, _STORE_STAGE = range(4)


@dataclass(frozen=True)
class Plan:
    """What `parley up` is going to run.

    Attributes:
        settings: The settings with everything decided that was left open.
        url: Address to open in a browser.
        local_url: Address by which this machine reaches the gateway.
        operator_token: Token for operators' calls.
        parts: The parts.
    """

    settings: Settings
    url: str
    local_url: str
    operator_token: str
    parts: Sequence[Supervised]


def make_plan(settings: Settings, folder: DataFolder, *, lan: bool) -> Plan:
    """Decides addresses, secrets and certificate, and builds the parts.

    Raises:
        CommandError: The port is taken, or the machine is in no network although `lan` is asked for.
    """
    addresses = _control_plane_addresses(settings)
    decided = _decide(settings, folder, addresses, lan=lan)
    check_public_port(decided)
    _check_metrics_ports(decided)
    secure = decided.tls_certificate_file is not None
    host = _LOOPBACK if decided.bind_address == _EVERY_ADDRESS else decided.bind_address
    parts = _parts(decided, folder, addresses)
    return Plan(
        settings=decided,
        url=decided.public_url,
        local_url=f"{'https' if secure else 'http'}://{f'[{host}]' if ':' in host else host}:{decided.port}",
        operator_token=decided.operator_token.get_secret_value(),
        parts=parts,
    )


def _decide(settings: Settings, folder: DataFolder, addresses: Sequence[str], *, lan: bool) -> Settings:
    """What was set stays; what was left open is decided."""
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    decided: dict[str, object] = {
        "control_plane_address": addresses[0],
        "control_plane_processes": len(addresses),
        "control_plane_target": ",".join(f"{_LOOPBACK}:{address.rpartition(':')[2]}" for address in addresses),
        "node_control_address": f"{_LOOPBACK}:{free_port()}",
        "static_address": f"{_LOOPBACK}:{free_port()}",
        "node_token": folder.secret("node-token"),
        "operator_token": folder.secret("operator-token"),
        "signing_key_file": folder.path / "secrets" / "signing-key.pem",
        "public_url": f"http://localhost:{settings.port}",
    }
    if lan:
        decided |= _decide_lan(settings, folder)
    given.pop("control_plane_processes", None)  # 0 is decided too
    return Settings.model_validate({**decided, **given, "data_dir": folder.path})


def _control_plane_addresses(settings: Settings) -> Sequence[str]:
    """Where the control plane's processes listen: free ports, or the one that is set and those after it."""
    count = settings.control_plane_processes or max(1, len(os.sched_getaffinity(0)) // _CORES_OF_A_PROCESS)
    if "control_plane_address" not in settings.model_fields_set:
        return [f"{_LOOPBACK}:{free_port()}" for _ in range(count)]
    host, _, port = settings.control_plane_address.rpartition(":")
    return [f"{host}:{int(port) + place}" for place in range(count)]


def _decide_lan(settings: Settings, folder: DataFolder) -> Mapping[str, object]:
    addresses = lan_addresses()
    if not addresses:
        message = "This machine is in no network, so nobody else could join: start parley without --lan."
        raise CommandError(message)
    files = local_certificate(folder.path / "tls", [*addresses, _LOOPBACK, "localhost", host_name()])
    return {
        "bind_address": _EVERY_ADDRESS,
        "tls_certificate_file": files.certificate,
        "tls_key_file": files.key,
        "public_url": f"https://{addresses[0]}:{settings.port}",
    }


def check_public_port(settings: Settings) -> None:
    """Sees whether the gateway can listen.

    Raises:
        CommandError: It can't.
    """
    try:
        check_port(settings.bind_address, settings.port)
    except PermissionError as error:
        message = f"Port {settings.port} needs more rights than you have: choose one above 1023 with --port."
        raise CommandError(message) from error
    except OSError as error:
        message = (
            f"Port {settings.port} on {settings.bind_address} is in use by another program: "
            "stop that program, or choose another port with --port."
        )
        raise CommandError(message) from error


def _check_metrics_ports(settings: Settings) -> None:
    first, count = settings.control_plane_metrics_port, settings.control_plane_processes
    if first and settings.node_metrics_port in range(first, first + count):
        message = (
            f"PARLEY_NODE_METRICS_PORT is {settings.node_metrics_port}, but the control plane's {count} processes have "
            f"metrics from port {first} to {first + count - 1}: choose another port for one of them."
        )
        raise CommandError(message)


def _parts(settings: Settings, folder: DataFolder, addresses: Sequence[str]) -> Sequence[Supervised]:
    stores, stored = _stores(settings, folder)
    environment = {**_environment(settings), **stored}
    logs = folder.logs
    node = PythonPart("node", "media_plane.node", environment, RotatingLog(logs, "node"))
    return [
        *stores,
        *_control_planes(settings, addresses, environment, logs, needs=[store.part.name for store in stores]),
        # A node that finds no control plane waits ever longer between attempts: begun after it, it registers at once.
        Supervised(
            node,
            needs=["control-plane"],
            stop_stage=_NODE_STAGE,
            liveness=lambda: HealthWatch(node.ready["control_address"]),
        ),
        *gateway_parts(settings, folder.path, logs),
    ]


def _control_planes(
    settings: Settings, addresses: Sequence[str], environment: Mapping[str, str], logs: Path, needs: Sequence[str]
) -> Sequence[Supervised]:
    """The processes of the control plane, each with ports and a log of its own."""
    found = []
    for place, address in enumerate(addresses):
        name = "control-plane" if place == 0 else f"control-plane-{place + 1}"
        own = {"PARLEY_CONTROL_PLANE_ADDRESS": address}
        if settings.control_plane_metrics_port:
            own["PARLEY_CONTROL_PLANE_METRICS_PORT"] = str(settings.control_plane_metrics_port + place)
        part = PythonPart(name, "control_plane", {**environment, **own}, RotatingLog(logs, name))
        found.append(Supervised(part, needs=needs, stop_stage=_CONTROL_STAGE))
    return found


def gateway_parts(settings: Settings, data_dir: Path, logs: Path) -> Sequence[Supervised]:
    """The web client's server and Envoy."""
    environment = {
        "PARLEY_STATIC_ADDRESS": settings.static_address,
        "PARLEY_WEB_ROOT": str(settings.web_root),
        "PARLEY_DOCS_ROOT": str(settings.docs_root),
    }
    return [
        Supervised(
            PythonPart("web", "gateway.static", environment, RotatingLog(logs, "web")), stop_stage=_GATEWAY_STAGE
        ),
        Supervised(
            EnvoyPart(data_dir, lambda admin: bootstrap(settings, admin), RotatingLog(logs, "envoy")),
            stop_stage=_GATEWAY_STAGE,
        ),
    ]


def _stores(settings: Settings, folder: DataFolder) -> tuple[Sequence[Supervised], Mapping[str, str]]:
    """PostgreSQL and Redis, unless the deployment brings its own, and where they are."""
    stores: list[Supervised] = []
    addresses: dict[str, str] = {}
    if "database_url" not in settings.model_fields_set:
        # Each process has 20 connections at most, and one while it brings the schema up to date.
        connections = max(200, 50 + 21 * settings.control_plane_processes)
        postgres = PostgresPart(folder.path, RotatingLog(folder.logs, "postgres"), connections=connections)
        stores.append(Supervised(postgres, stop_stage=_STORE_STAGE))
        addresses["PARLEY_DATABASE_URL"] = postgres.url
    if "redis_url" not in settings.model_fields_set:
        redis = RedisPart(folder.path, RotatingLog(folder.logs, "redis"))
        stores.append(Supervised(redis, stop_stage=_STORE_STAGE))
        addresses["PARLEY_REDIS_URL"] = redis.url
    return stores, addresses


def _environment(settings: Settings) -> Mapping[str, str]:
    """What was decided, for the processes; what was set reaches them the same way as it reached this one."""
    return {
        "PARLEY_DATA_DIR": str(settings.data_dir),
        "PARLEY_CONTROL_PLANE_TARGET": settings.control_plane_target,
        "PARLEY_NODE_CONTROL_ADDRESS": settings.node_control_address,
        "PARLEY_NODE_TOKEN": settings.node_token.get_secret_value(),
        "PARLEY_OPERATOR_TOKEN": settings.operator_token.get_secret_value(),
        "PARLEY_SIGNING_KEY_FILE": str(settings.signing_key_file),
        "PARLEY_PUBLIC_URL": settings.public_url,
        "PARLEY_MEDIA_ADDRESSES": json.dumps(settings.media_addresses),
    }
