"""Summaries of measurements."""

import os
import time
from types import SimpleNamespace

import psutil
import pytest

from parley_cli.bench.conditions import HostMeter
from parley_cli.bench.statistics import quantile, summary_ms


@pytest.mark.parametrize(("share", "expected"), [(0.5, 5), (0.9, 9), (0.91, 10), (1.0, 10), (0.01, 1)])
def test_a_quantile_is_a_measured_value(share: float, expected: float) -> None:
    assert quantile([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], share) == expected


def test_nothing_has_no_quantile() -> None:
    with pytest.raises(ValueError, match="no values"):
        quantile([], 0.5)


def test_a_summary_is_in_milliseconds() -> None:
    assert summary_ms([0.001] * 99 + [1.0]) == {"p50_ms": 1.0, "p90_ms": 1.0, "p99_ms": 1.0, "max_ms": 1000.0}
    assert summary_ms([]) == {}


def test_stolen_time_is_a_share_of_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(time, "monotonic", iter([100.0, 105.0]).__next__)
    monkeypatch.setattr(psutil, "cpu_times", iter(SimpleNamespace(steal=s) for s in (7.0, 9.0)).__next__)

    assert HostMeter().stolen_percent() == 10.0
