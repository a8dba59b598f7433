"""The doctor and the measurements work on the real product; what they find is not judged here."""

import asyncio
import json
import sys
from typing import Any

import pytest

from tests.support.fleet import Fleet


async def test_the_doctor_holds_a_call_on_the_running_product(fleet: Fleet) -> None:
    found = await _parley("doctor", "--json", "--data-dir", str(fleet.folder), "--port", str(fleet.port))

    assert found["healthy"], found
    assert {check["name"]: check["finding"] for check in found["checks"]}[f"port {fleet.port}"].endswith(fleet.url)
    call = found["call"]
    assert call["sound"]
    assert call["packets"] > 100
    assert call["join_ms"] >= call["connected_ms"] > 0
    assert call["latency_ms"] > 0
    assert 0 <= call["loss_percent"] < 50


@pytest.mark.timeout(300)
async def test_join_is_measured_with_its_spans() -> None:
    found = await _parley("bench", "join", "--joins", "2", "--json")

    assert found["click_to_first_frame"]["p50_ms"] >= found["click_to_answer"]["p50_ms"] > 0
    assert {span["service"] for span in found["spans"]} >= {"parley-gateway", "parley-control-plane", "parley-node"}
    assert "engine.first_media" in {span["span"] for span in found["spans"]}
    assert found["conditions"]["cores"] >= 1


@pytest.mark.timeout(300)
async def test_forwarding_is_measured_beside_the_floor() -> None:
    found = await _parley("bench", "forwarding", "--subscribers", "4", "--seconds", "2", "--json")

    assert found["datagrams_out"] >= 0.9 * found["load"]["packets_out_per_second"] * found["wall_seconds"] > 0
    assert found["packets_out_per_cpu_second"] > 0
    assert found["share_of_floor"] > 0
    assert found["srtp_profiles"] == ["SRTP_AEAD_AES_256_GCM"]
    assert {way["sending"] for way in found["floor"]} == {"udp_segment_offloaded", "udp_segment", "send"}


@pytest.mark.timeout(300)
async def test_unary_calls_are_measured() -> None:
    found = await _parley("bench", "api", "--seconds", "1", "--json")

    assert found["GetMeeting"]["calls_per_second"] > 0
    assert found["GetMeeting"]["cpu_ms_per_call"]["control-plane"] > 0


async def _parley(*arguments: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "parley_cli.main",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert output, errors.decode()
    found: dict[str, Any] = json.loads(output)
    return found
