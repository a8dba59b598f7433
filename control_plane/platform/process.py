"""A control-plane process from its start to the end of its drain, made of the capabilities that it is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from grpc import aio

from control_plane.kernel.address import site
from control_plane.kernel.caller import Caller, CallerKind
from control_plane.platform.background import Background
from control_plane.platform.capability import Capability, House
from control_plane.platform.grpc.caller import CURRENT_CALLER, current_caller
from control_plane.platform.grpc.errors import to_service_error
from control_plane.platform.grpc.services import compose
from control_plane.platform.observer import Observer
from control_plane.platform.tasks import Tasks
from grpc_kit.interceptors import (
    Authenticator,
    AuthInterceptor,
    DeadlineInterceptor,
    EncodedInterceptor,
    ErrorMapInterceptor,
    OneMessageInterceptor,
    RateLimitInterceptor,
    TelemetryInterceptor,
    ValidateInterceptor,
)
from grpc_kit.interceptors.rate_limit import TokenBuckets
from grpc_kit.server import GrpcServer

GRACE_SECONDS: Final = 10.0
_FINISH_SECONDS: Final = 5.0


class Process:
    """The parts of a process, with their tasks, whether it serves or not."""

    def __init__(self, capabilities: Sequence[Capability], house: House) -> None:
        """Build everything; nothing is connected or bound yet."""
        self.house = house
        self.background = house.provide(Background, Background)
        self.parts = [capability.build(house) for capability in capabilities]
        self.tasks = Tasks(house.need(Observer))
        self.essential = {task.name for part in self.parts for task in part.tasks if task.essential}
        for task in (task for part in self.parts for task in part.tasks):
            self.tasks.add(task.name, task.work, pause=task.pause)

    async def start(self) -> None:
        """Starts the parts and then their tasks."""
        for hook in (hook for part in self.parts for hook in part.start):
            await hook()
        self.tasks.start()

    async def drain(self) -> None:
        """Tells streams to go elsewhere."""
        for hook in (hook for part in self.parts for hook in part.drain):
            await hook()

    async def stop(self) -> None:
        """Ends the tasks when no call is under way any more, and closes what was opened."""
        await self.tasks.stop()
        for hook in reversed([hook for part in self.parts for hook in part.stop]):
            await hook()
        await self.background.finish(_FINISH_SECONDS)
        for hook in reversed([hook for part in self.parts for hook in part.close]):
            await hook()


class Application:
    """A process that serves the contracts."""

    def __init__(self, process: Process, *, address: str, calls_per_second: float) -> None:
        """Build the server.

        Args:
            process: What is served.
            address: Where it listens, `host:port`.
            calls_per_second: Calls that one address may make.

        Raises:
            UnservedMethodError: A method of a contract is served by no capability, or by two.
        """
        self._process = process
        self._address = address
        authenticator = process.house.need(Authenticator)
        self._server = GrpcServer(
            compose(part.servicers for part in process.parts), interceptors=_chain(authenticator, calls_per_second)
        )
        self._server.on_drain(process.drain)
        process.tasks.on_health(self._show_health)

    async def start(self) -> int:
        """Serves.

        Returns:
            The port that was bound.

        Raises:
            AddressInUseError: The address can't be had.
        """
        await self._process.start()
        return await self._server.start(self._address)

    async def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Drains and ends: no call that has begun is lost, if it ends within the grace."""
        await self._server.drain(grace_seconds)
        await self._process.stop()

    async def _show_health(self, task: str, healthy: bool) -> None:  # noqa: FBT001 -- a listener
        """Shows a task's health under a name of its own, and that of the process by what its callers depend on."""
        await self._server.set_health(f"tasks/{task.replace(' ', '-')}", healthy=healthy)
        if task in self._process.essential:
            await self._server.set_health("", healthy=healthy)


def _chain(authenticator: Authenticator[Caller], calls_per_second: float) -> list[aio.ServerInterceptor]:
    # By address first, since authentication costs a signature's check and a query; an address may hold many people, so
    # each of them has a limit too.
    per_caller = calls_per_second / 5
    return [
        OneMessageInterceptor(),
        TelemetryInterceptor(),
        ErrorMapInterceptor(to_service_error),
        DeadlineInterceptor(),
        RateLimitInterceptor(TokenBuckets(calls_per_second, 2 * calls_per_second), lambda call: site(call.peer)),
        AuthInterceptor(authenticator, CURRENT_CALLER),
        RateLimitInterceptor(TokenBuckets(per_caller, 2 * per_caller), lambda _call: _person(current_caller())),
        ValidateInterceptor(),
        EncodedInterceptor(),
    ]


def _person(caller: Caller) -> str:
    """Whose calls are counted; the deployment's own parts are not people."""
    return "" if caller.kind in {CallerKind.NODE, CallerKind.OPERATOR} else caller.subject
