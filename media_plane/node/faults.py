"""Faults that a loop of the node has outlived: counted for Prometheus and logged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog
from prometheus_client import Counter

log = structlog.get_logger(__name__)

FAULTS: Final = Counter("parley_node_faults", "Faults that a loop of the node has outlived, by loop.", ["loop"])


def outlived(loop: str, error: BaseException, **what: object) -> None:
    """Note a fault. What it happened to is passed over, and the loop goes on."""
    FAULTS.labels(loop).inc()
    log.error("node.fault", loop=loop, error=type(error).__name__, exc_info=error, **what)


@contextmanager
def outliving(loop: str, **what: object) -> Iterator[None]:
    """Do something whose faults a loop outlives."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 -- whatever it is, the loop goes on
        outlived(loop, error, **what)
