"""When a part that runs is to be restarted, by what it answers when it is asked for its health (FLT-5)."""

from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from parley_cli.ports import free_port
from parley_cli.up.liveness import HealthWatch, Verdict
from tests.support.waiting import call_of, until

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


class CountingServicer(health.HealthServicer):  # type: ignore[misc]  # it comes without types
    asked = 0

    def Check(self, request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext) -> Any:  # noqa: ANN401, N802
        self.asked += 1
        return super().Check(request, context)


@pytest.fixture
def servicer() -> CountingServicer:
    return CountingServicer()


@pytest.fixture
def target(servicer: CountingServicer) -> Iterator[str]:
    server = grpc.server(futures.ThreadPoolExecutor(1))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def verdicts(*statuses: int | None) -> list[str]:
    verdict = Verdict()
    return [verdict.take(status) for status in statuses]


def test_silence_is_a_complaint_before_a_part_that_can_not_serve() -> None:
    assert verdicts(*[None] * 4) == [""] * 3 + ["it runs, but did not answer 4 times in a row"]
    *before, last = verdicts(*[NOT_SERVING] * 30)
    assert (set(before), last) == ({""}, "it runs, but said 30 times in a row that it can't serve")


def test_a_part_that_mends_itself_is_left_alone() -> None:
    assert not any(verdicts(*[None, None, None, NOT_SERVING] * 7, SERVING, *[NOT_SERVING] * 29))


def test_silence_makes_up_for_no_time_without_service() -> None:
    assert verdicts(*[NOT_SERVING, None] * 15)[-1]


async def test_a_part_that_serves_gives_no_cause_and_one_that_does_not_does(
    target: str, servicer: CountingServicer
) -> None:
    watch = HealthWatch(target, interval=0.001)
    try:
        await until(call_of(lambda: servicer.asked), lambda times: times > 40)
        assert watch.complaint == ""
        servicer.set("", NOT_SERVING)
        await until(call_of(lambda: watch.complaint), what="a complaint")
    finally:
        watch.end()
    assert "can't serve" in watch.complaint


async def test_nobody_at_the_address_is_silence() -> None:
    watch = HealthWatch(f"127.0.0.1:{free_port()}", interval=0.001, timeout=0.05)
    try:
        assert "did not answer" in await until(call_of(lambda: watch.complaint), what="a complaint")
    finally:
        watch.end()
