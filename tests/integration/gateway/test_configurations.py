"""Envoy itself accepts every kind of configuration that the settings can make."""

import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.envoy import bootstrap
from gateway.settings import GatewaySettings
from parley_cli.parts import EnvoyPart
from parley_cli.parts.envoy import program
from parley_cli.ports import free_port
from parley_cli.up.network import CertificateFiles, local_certificate

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "ipv6": {"bind_address": "::1"},
    "telemetry": {"otlp_endpoint": "collector:4317", "otlp_http_endpoint": "collector:4318"},
    "containers": {
        "bind_address": "0.0.0.0",
        "envoy_admin_address": "0.0.0.0:9901",
        "control_plane_target": "control-plane:8081",
        "static_address": "web:8083",
    },
    "several control planes": {"control_plane_target": "127.0.0.1:8081,127.0.0.1:8082,[::1]:8083"},
    "origins": {"cors_origins": ["https://example.com"], "trusted_proxies": 1},
}


@pytest.mark.parametrize("variant", [*VARIANTS, "tls"])
def test_envoy_accepts(variant: str, tmp_path: Path) -> None:
    options = VARIANTS.get(variant, {})
    if variant == "tls":
        files = local_certificate(tmp_path, ["127.0.0.1", "laptop.local"])
        options = {"tls_certificate_file": files.certificate, "tls_key_file": files.key}
    file = tmp_path / "bootstrap.json"
    file.write_text(json.dumps(bootstrap(GatewaySettings(**options), tmp_path / "admin.sock")))

    done = subprocess.run(  # noqa: S603 - our own Envoy
        [program(), "--mode", "validate", "-c", file, "--log-level", "warning"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr.lower()


def test_envoy_refuses_what_is_wrong(tmp_path: Path) -> None:
    """The validation above can fail."""
    broken = bootstrap(GatewaySettings(), tmp_path / "admin.sock")
    broken["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]["codec_typ"] = 1
    file = tmp_path / "bootstrap.json"
    file.write_text(json.dumps(broken))

    done = subprocess.run([program(), "--mode", "validate", "-c", file], capture_output=True, check=False)  # noqa: S603 - as above

    assert done.returncode != 0


@pytest.fixture
def secure_gateway(tmp_path: Path) -> Iterator[tuple[GatewaySettings, CertificateFiles]]:
    files = local_certificate(tmp_path / "tls", ["127.0.0.1"])
    settings = GatewaySettings(port=free_port(), tls_certificate_file=files.certificate, tls_key_file=files.key)
    envoy = EnvoyPart(tmp_path, lambda admin: bootstrap(settings, admin))
    envoy.start()
    yield settings, files
    envoy.stop()


def test_tls_offers_http2_to_those_who_trust_the_certificate(
    secure_gateway: tuple[GatewaySettings, CertificateFiles],
) -> None:
    settings, files = secure_gateway
    trust = ssl.create_default_context(cafile=str(files.certificate))
    trust.set_alpn_protocols(["h2", "http/1.1"])

    with (
        socket.create_connection(("127.0.0.1", settings.port)) as plain,
        trust.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        assert connection.selected_alpn_protocol() == "h2"
        assert connection.version() == "TLSv1.3"


def test_plain_http_is_sent_to_https(secure_gateway: tuple[GatewaySettings, CertificateFiles]) -> None:
    settings, _ = secure_gateway

    answer = httpx.get(f"http://127.0.0.1:{settings.port}/j/12345678901")

    assert answer.status_code == 301
    assert answer.headers["location"] == f"https://127.0.0.1:{settings.port}/j/12345678901"
