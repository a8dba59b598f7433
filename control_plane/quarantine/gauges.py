"""The gauge of records that are set aside."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import Gauge

QUARANTINED = Gauge("parley_quarantined_records", "Records that are set aside, all replicas together.", ["kind"])


def show_quarantine(kinds: Mapping[str, int]) -> None:
    """Shows how many records are set aside, by kind; each kind is named."""
    for kind, count in kinds.items():
        QUARANTINED.labels(kind).set(count)
