"""The doctor and the measurements work on the real product; what they find is not judged here."""

import asyncio
import json
import sys
from typing import Any

import psycopg
import pytest

from parley_cli.parts.sockets import socket_folder
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


async def test_the_doctor_finds_what_runs_by_itself_and_looks_at_all_of_it(fleet: Fleet) -> None:
    """DOC-1: without being told the folder."""
    found = await _parley("doctor", "--json", "--port", str(fleet.port))

    assert found["healthy"], found
    (instance,) = found["instances"]
    assert (instance["data_dir"], instance["url"]) == (str(fleet.folder), fleet.url)
    seen = {check["name"]: check["finding"] for check in instance["checks"]}
    assert {"postgres", "redis", "control-plane", "node", "web", "envoy"} <= seen.keys()
    assert seen["tasks"].startswith("all ")
    assert seen["quarantine"] == "empty"
    assert any(name.startswith("nodes/") and finding.startswith("active") for name, finding in seen.items())
    assert instance["call"] == found["call"]


async def test_a_record_that_is_set_aside_is_seen_and_can_be_dropped(fleet: Fleet) -> None:
    where = ("--data-dir", str(fleet.folder))
    with psycopg.connect(host=str(socket_folder(fleet.folder)), user="postgres", dbname="parley") as database:
        database.execute(
            "INSERT INTO outbox (kind, meeting_number, participant_id, traceparent)"
            " VALUES ('meeting_sung_of', '12345678901', '', '')"
        )
    records: list[dict[str, Any]] = []
    while not records:
        records = await _parley("quarantine", "list", "--json", *where)

    (record,) = records
    assert record["kind"] == "RECORD_KIND_OUTBOX"
    assert record["problem"] == "a kind that this version does not know"
    found = await _parley("doctor", "--json", *where)
    assert not found["healthy"]
    assert [check["name"] for check in found["instances"][0]["checks"] if not check["good"]] == ["quarantine"]

    await _run("quarantine", "retry", record["name"], *where)
    await _run("quarantine", "drop", record["name"], *where)

    assert await _parley("quarantine", "list", "--json", *where) == []
    with pytest.raises(AssertionError, match="No such record is in quarantine"):
        await _run("quarantine", "drop", record["name"], *where)


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

    for count in ("1", "2"):
        figures = found["processes"][count]["GetMeeting"]
        assert figures["calls_per_second"] > 0
        assert figures["calls_per_cpu_second"] > 0
        assert figures["cpu_ms_per_call"]["control-plane"] > 0
    assert found["ratio_of_two_to_one"]["GetMeeting"]["calls_per_second"] > 0


async def _parley(*arguments: str) -> Any:  # noqa: ANN401 - JSON
    output, errors = await _outcome(*arguments)
    assert output, errors
    return json.loads(output)


async def _run(*arguments: str) -> None:
    _, errors = await _outcome(*arguments)
    assert not errors, errors


async def _outcome(*arguments: str) -> tuple[str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "parley_cli.main",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    return output.decode(), errors.decode()
