"""Summaries of measured values."""

from collections.abc import Mapping, Sequence

_MILLISECONDS = 1_000


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all values do not exceed (nearest rank).

    Raises:
        ValueError: There are no values.
    """
    if not values:
        message = "there are no values"
        raise ValueError(message)
    ordered = sorted(values)
    return ordered[max(0, -(-int(len(ordered) * share * 1_000_000) // 1_000_000) - 1)]


def summary_ms(seconds: Sequence[float]) -> Mapping[str, float]:
    """p50, p90, p99 and the greatest of durations, in milliseconds."""
    if not seconds:
        return {}
    shares = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "max_ms": 1.0}
    return {name: round(quantile(seconds, share) * _MILLISECONDS, 2) for name, share in shares.items()}
