from __future__ import annotations

import json
import subprocess
import sys
import time

SCRIPT = """
import structlog, logging
from opentelemetry import trace
from grpc_kit.telemetry import TelemetryOptions, start_telemetry
telemetry = start_telemetry(TelemetryOptions("test", otlp_endpoint="127.0.0.1:9", log_format="json"))
with trace.get_tracer("t").start_as_current_span("work"):
    structlog.get_logger("x").info("hello", password="hunter2", refresh_token="hunter2", number=7)
    logging.getLogger("library").warning("from a library")
telemetry.shutdown()
"""


def test_logs_are_json_with_trace_ids_and_without_secrets_and_a_dead_collector_holds_nobody_up() -> None:
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - our own script
    assert time.monotonic() - began < 20
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    ours, library = lines
    assert ours["event"] == "hello"
    assert ours["number"] == 7
    assert len(ours["trace_id"]) == 32
    assert library["trace_id"] == ours["trace_id"]
    assert "hunter2" not in done.stderr + done.stdout
    assert done.stdout == ""
