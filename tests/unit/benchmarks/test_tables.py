"""The figures in the documents are printed from the stored results."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.tables import tables

_RESULTS = Path(__file__).parents[3] / "benchmarks" / "results"


def _stored(bench: str) -> Mapping[str, Any]:
    newest = max(_RESULTS.glob(f"????-??-??-{bench}.json"))
    found: Mapping[str, Any] = json.loads(newest.read_text())
    return found


@pytest.mark.parametrize("bench", ["crowd", "forwarding-grid", "latency", "loss", "capacity", "layers", "withdrawal"])
def test_stored_results_print_as_a_table(bench: str) -> None:
    head, rule, *rows = tables(_stored(bench)).splitlines()

    assert rows
    assert {line.count("|") for line in (head, rule, *rows)} == {head.count("|")}


def test_a_time_is_told_by_its_percentiles() -> None:
    results = {"bench": "withdrawal", "summary": {"step_down_ms": {"p50_ms": 166.7, "max_ms": 232.4}}}

    assert tables(results) == "|  | p50_ms | max_ms |\n|---|---|---|\n| step_down_ms | 166.7 | 232.4 |"


def test_a_cell_that_was_not_measured_has_no_figure() -> None:
    harm = {"frozen_percent": 0.64, "concealed_audio_percent": 1.16}
    cell = {"loss": "5%", "round_trip": 0.02, "direction": "up", **harm}

    assert tables({"bench": "loss", "cells": [cell]}).splitlines()[-1] == "| 5%, 20 ms | 0.6 %, 1.2 % | - | - |"
