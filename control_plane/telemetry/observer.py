"""What the control plane measures of joins and of what happens in meetings: spans and Prometheus metrics."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.propagate import inject
from prometheus_client import Counter, Histogram

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 4.0, 8.0)

JOIN_SECONDS = Histogram(
    "parley_join_seconds", "Time of JoinMeeting in the control plane, by outcome.", ["outcome"], buckets=_SECONDS
)
STAGE_SECONDS = Histogram("parley_join_stage_seconds", "Time of a join's stages.", ["stage"], buckets=_SECONDS)
EVENTS = Counter("parley_live_events", "What happened in meetings and to nodes, by kind.", ["kind"])


class MetricsObserver:
    """Measures and traces."""

    def __init__(self) -> None:
        self._tracer = trace.get_tracer("control_plane")

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measures a stage of a join."""
        began = time.perf_counter()
        with self._tracer.start_as_current_span(f"join.{name}", record_exception=False):
            try:
                yield
            finally:
                STAGE_SECONDS.labels(name).observe(time.perf_counter() - began)

    def joined(self, outcome: str, seconds: float) -> None:
        """A join ended: `ok` or the reason of its failure."""
        JOIN_SECONDS.labels(outcome).observe(seconds)

    def counted(self, name: str, amount: float = 1) -> None:
        """Something happened."""
        EVENTS.labels(name).inc(amount)


def current_traceparent() -> str:
    """Returns the trace context of what is being done (W3C `traceparent`); empty outside a trace."""
    carrier: dict[str, str] = {}
    inject(carrier)
    return carrier.get("traceparent", "")
