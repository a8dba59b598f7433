"""The gateway behind load balancers, each a real Envoy: the address that limits and logs use is the client's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import grpc
import httpx
import pytest

from gateway.envoy import bootstrap
from gateway.envoy.json import Json, extension, typed
from gateway.settings import GatewaySettings
from grpc_kit.interceptors.base import CLIENT_ADDRESS, Call
from parley.identity.v1 import identity_service_pb2 as identity
from parley_cli.parts import EnvoyPart
from parley_cli.ports import free_port
from tests.integration.gateway.conftest import Upstream
from tests.support.transports import GrpcWeb, method
from tests.support.waiting import until

ANA, BEN = "127.0.0.7", "127.0.0.9"
FORGED = "198.51.100.7"
MEETING = "/v1/meetings/12345678901"


def balancer(port: int, to: int, trusted: int) -> Callable[[Path], Json]:
    """A load balancer as others run one: it adds whom it sees to X-Forwarded-For, and believes so many before it."""

    def configuration(admin_socket: Path) -> Json:
        cluster = {
            "name": "parley",
            "type": "STATIC",
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed(
                    "extensions.upstreams.http.v3.HttpProtocolOptions",
                    explicit_http_config={"http2_protocol_options": {}},
                )
            },
            "load_assignment": {
                "cluster_name": "parley",
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address("127.0.0.1", to)}}]}],
            },
        }
        return {
            "node": {"id": "balancer", "cluster": "balancer"},
            "admin": {"address": {"pipe": {"path": str(admin_socket)}}},
            "static_resources": {
                "listeners": [_listener(host, port, trusted) for host in ("127.0.0.1", "::1")],
                "clusters": [cluster],
            },
        }

    return configuration


def _listener(host: str, port: int, trusted: int) -> Json:
    host_of_all = {
        "name": "all",
        "domains": ["*"],
        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "parley"}}],
    }
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="balancer",
        use_remote_address=True,
        xff_num_trusted_hops=trusted,
        http_filters=[extension("envoy.filters.http.router", "extensions.filters.http.router.v3.Router")],
        route_config={"name": "all", "virtual_hosts": [host_of_all]},
    )
    return {"name": host, "address": _address(host, port), "filter_chains": [{"filters": [manager]}]}


def _address(host: str, port: int) -> Json:
    return {"socket_address": {"address": host, "port_value": port}}


@dataclass
class Proxied:
    """A gateway behind some load balancers.

    Attributes:
        port: Where clients arrive: at the outermost of them.
        upstream: In the control plane's place.
        log: What the gateway logs.
    """

    port: int
    upstream: Upstream
    log: list[str]

    def peer(self) -> str:
        """The address that the control plane's limits and logs use for its latest call."""
        _, metadata = self.upstream.calls[-1]
        named = {key: str(value) for key, value in metadata.items()}
        return Call("", cast("Any", None), named, False, False, "ipv4:127.0.0.1:1").peer  # noqa: FBT003

    async def get(self, client: str, host: str = "127.0.0.1", **headers: str) -> str:
        """Asks from a client's address, and returns whom the control plane takes it for."""
        transport = httpx.AsyncHTTPTransport(local_address=client)
        async with httpx.AsyncClient(base_url=f"http://{host}:{self.port}", transport=transport) as http:
            answer = await http.get(MEETING, headers={name.replace("_", "-"): value for name, value in headers.items()})
        assert answer.status_code == 200, answer.text
        return self.peer()


@asynccontextmanager
async def behind(proxies: int, folder: Path, *, played: int = 0, **limits: int) -> AsyncIterator[Proxied]:
    """Runs a gateway behind so many load balancers; before them stand some more, which the test itself plays."""
    upstream, log = Upstream(f"127.0.0.1:{free_port()}"), list[str]()
    settings = GatewaySettings(
        port=free_port(),
        data_dir=folder,
        control_plane_target=upstream.address,
        static_address=f"127.0.0.1:{free_port()}",
        trusted_proxies=proxies + played,
        **limits,  # type: ignore[arg-type]
    )
    async with AsyncExitStack() as running:
        running.push_async_callback(upstream.stop)
        await upstream.start()
        gateway = EnvoyPart(folder / "gateway", lambda admin: bootstrap(settings, admin), log.append)
        running.enter_context(started(gateway))
        port = settings.port
        for number in range(proxies):
            front, to = free_port(), port
            # Each believes those before it; the outermost of all believes nobody.
            configuration = balancer(front, to, trusted=proxies + played - 1 - number)
            running.enter_context(started(EnvoyPart(folder / f"balancer-{number}", configuration, lambda _line: None)))
            port = front
        yield Proxied(port, upstream, log)


@contextmanager
def started(part: EnvoyPart) -> Iterator[None]:
    part.start()
    try:
        yield
    finally:
        part.stop()


@pytest.fixture(params=[0, 1, 2], ids=["no proxy", "one proxy", "two proxies"])
async def proxied(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Proxied]:
    async with behind(request.param, tmp_path) as it:
        yield it


async def test_clients_are_told_apart_by_limits_and_logs_whatever_they_claim(proxied: Proxied) -> None:
    assert [await proxied.get(client) for client in (ANA, BEN)] == [ANA, BEN]
    assert await proxied.get(ANA, x_forwarded_for=FORGED) == ANA
    assert await proxied.get(ANA, x_forwarded_for=f"{FORGED}, 2001:db8::1, {BEN}") == ANA
    assert await proxied.get(ANA, x_forwarded_for="nonsense, ,") == ANA
    assert await proxied.get(BEN, **{CLIENT_ADDRESS: FORGED}) == BEN

    async def logged() -> list[str]:
        return [json.loads(line)["client"] for line in proxied.log if MEETING in line]

    clients = await until(logged, lambda found: len(found) == 6)
    assert clients == [ANA, BEN, ANA, ANA, ANA, BEN]


async def test_an_ipv6_client_is_itself_behind_a_balancer_that_names_it(tmp_path: Path) -> None:
    async with behind(1, tmp_path, played=1) as proxied:
        assert await proxied.get(ANA, x_forwarded_for="2001:db8::5") == "2001:db8::5"
        assert await proxied.get(ANA, x_forwarded_for=f"{FORGED}, 2001:db8::6") == "2001:db8::6"
        assert await proxied.get("::1", host="[::1]", x_forwarded_for="2001:db8::7") == "2001:db8::7"


async def test_one_client_of_a_balancer_does_not_use_up_what_a_connection_may(tmp_path: Path) -> None:
    """The balancer sends all of them by a few connections; each address has its limit in the control plane."""
    async with behind(1, tmp_path, connection_request_burst=3, connection_requests_per_second=1) as proxied:
        assert {await proxied.get(ANA) for _ in range(30)} == {ANA}
        assert await proxied.get(BEN) == BEN


async def test_grpc_and_grpc_web_name_the_client_as_rest_does(tmp_path: Path) -> None:
    request = identity.SignInRequest(email="ann@example.com", password="correct horse")
    rpc = method("IdentityService.SignIn")
    async with behind(1, tmp_path, played=1) as proxied:
        authority = f"127.0.0.1:{proxied.port}"
        async with httpx.AsyncClient(base_url=f"http://{authority}", headers={"x-forwarded-for": BEN}) as http:
            outcome = await GrpcWeb(http).call(rpc, request)
        assert (outcome.code, proxied.peer()) == (grpc.StatusCode.OK, BEN)

        async with grpc.aio.insecure_channel(authority) as channel:
            call: Any = channel.unary_unary(
                f"/{rpc.containing_service.full_name}/{rpc.name}",
                request_serializer=identity.SignInRequest.SerializeToString,
            )
            await call(request, metadata=(("x-forwarded-for", "2001:db8::9"), (CLIENT_ADDRESS, FORGED)))
        assert proxied.peer() == "2001:db8::9"
