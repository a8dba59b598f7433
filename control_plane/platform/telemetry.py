"""What the control plane measures of joins and of what happens in meetings: spans and Prometheus metrics."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.propagate import inject
from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 4.0, 8.0)

JOIN_SECONDS = Histogram(
    "parley_join_seconds", "Time of JoinMeeting in the control plane, by outcome.", ["outcome"], buckets=_SECONDS
)
STAGE_SECONDS = Histogram("parley_join_stage_seconds", "Time of a join's stages.", ["stage"], buckets=_SECONDS)
TASK_FAULTS = Counter("parley_task_faults", "Turns of supervised tasks that failed by a fault.", ["task", "fault"])
TASK_HEALTHY = Gauge("parley_task_healthy", "Whether a supervised task's last turn ended without a fault.", ["task"])
SET_ASIDE = Counter(
    "parley_records_set_aside", "How often records were met that can't be read or applied, by kind.", ["kind"]
)
REPLICAS = Gauge("parley_replicas", "Control-plane processes that are alive, as this one sees them.")
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

    def task_healthy(self, name: str, *, healthy: bool) -> None:
        """Whether a task's last turn ended without a fault."""
        TASK_HEALTHY.labels(name).set(healthy)

    def task_failed(self, name: str, fault: str) -> None:
        """A turn of a task failed by a fault, named by its type."""
        TASK_FAULTS.labels(name, fault).inc()

    def set_aside(self, kind: str) -> None:
        """A record was met that can't be read or applied."""
        SET_ASIDE.labels(kind).inc()


def current_traceparent() -> str:
    """Returns the trace context of what is being done (W3C `traceparent`); empty outside a trace."""
    carrier: dict[str, str] = {}
    inject(carrier)
    return carrier.get("traceparent", "")
