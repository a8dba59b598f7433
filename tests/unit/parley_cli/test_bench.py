"""Summaries of measurements."""

import pytest

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
