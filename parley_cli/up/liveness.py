"""Notices a part that runs and yet serves nobody: it hangs, was stopped, or says by its gRPC health that it can't."""

import threading
from collections.abc import Callable

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from grpc_kit.channel import CHANNEL_OPTIONS

# A part that serves answers within milliseconds; one on a machine that is busy with other things may take its time.
_INTERVAL = 1.0
_TIMEOUT = 3.0
# Answers are counted and not seconds: of a machine that was suspended none is missing.
_MOST_UNANSWERED = 4
# A part mends much by itself, as the node does its shards: at most 10 s pass before it tries again.
_MOST_NOT_SERVING = 30

_SERVING = health_pb2.HealthCheckResponse.SERVING


class Verdict:
    """Judges a part by its answers."""

    def __init__(self) -> None:
        self._unanswered = 0
        self._not_serving = 0

    def take(self, status: int | None) -> str:
        """Takes a health status, None for no answer; returns what is wrong for too long, or an empty string."""
        self._unanswered = self._unanswered + 1 if status is None else 0
        self._not_serving = 0 if status == _SERVING else self._not_serving + 1
        if self._unanswered >= _MOST_UNANSWERED:
            return f"it runs, but did not answer {_MOST_UNANSWERED} times in a row"
        if self._not_serving >= _MOST_NOT_SERVING:
            return f"it runs, but said {_MOST_NOT_SERVING} times in a row that it can't serve"
        return ""


class HealthWatch:
    """Asks a part for its health from a thread of its own, so that one that doesn't answer holds nobody up.

    Args:
        target: `host:port` of the part's gRPC server.
        interval: Seconds between an answer and the next question.
        timeout: Seconds within which an answer has to come.
    """

    def __init__(self, target: str, interval: float = _INTERVAL, timeout: float = _TIMEOUT) -> None:
        self._target = target
        self._interval = interval
        self._timeout = timeout
        self._complaint = ""
        self._ended = threading.Event()
        threading.Thread(target=self._run, name=f"health of {target}", daemon=True).start()

    @property
    def complaint(self) -> str:
        """Why the part is to be restarted; empty: it serves."""
        return self._complaint

    def end(self) -> None:
        """Asks no more."""
        self._ended.set()

    def _run(self) -> None:
        verdict = Verdict()
        # Its own connections: those of a watch before would wait with theirs for a part that has been restarted since.
        options = [*CHANNEL_OPTIONS, ("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(self._target, options=options) as channel:
            check = health_pb2_grpc.HealthStub(channel).Check
            while not self._ended.wait(self._interval) and not self._complaint:
                self._complaint = verdict.take(_ask(check, self._timeout))


def _ask(check: Callable[..., health_pb2.HealthCheckResponse], timeout: float) -> int | None:
    try:
        # Waits for a connection too: one that fails at once would make four questions of a moment's trouble.
        status: int = check(health_pb2.HealthCheckRequest(), timeout=timeout, wait_for_ready=True).status
    except grpc.RpcError:
        return None
    return status
