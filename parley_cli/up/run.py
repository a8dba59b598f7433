"""From the command line to a running product and back."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from rich.console import Console

from parley_cli.errors import CommandError
from parley_cli.settings import Settings
from parley_cli.up.data_folder import DataFolder
from parley_cli.up.plan import Plan, make_plan
from parley_cli.up.readiness import Readiness
from parley_cli.up.screen import Screen
from parley_cli.up.supervisor import Supervisor

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ANSWER_TIMEOUT = 60.0
_PAUSE = 0.05


def run_up(settings: Settings, *, lan: bool, console: Console) -> None:
    """Runs everything until a signal comes, and leaves no process behind.

    Raises:
        CommandError: It can't be started.
    """
    begun = time.monotonic()
    folder = DataFolder(settings.data_dir)
    folder.open()
    plan = make_plan(settings, folder, lan=lan)
    screen = Screen(console, folder.logs, lambda: _publish(folder, plan))
    supervisor = Supervisor(plan.parts, screen, folder.held)
    with stop_on_signals(supervisor):
        try:
            if supervisor.start() and _wait_for_answers(plan, supervisor, screen):
                screen.up(plan, time.monotonic() - begun, lan=lan)
                supervisor.run()
            screen.stopping()
        finally:
            screen.close()
            supervisor.stop()
            folder.withdraw()
    screen.stopped()


def _wait_for_answers(plan: Plan, supervisor: Supervisor, screen: Screen) -> bool:
    """Waits until everything answers through the gateway; False when asked to stop before."""
    readiness = Readiness(plan)
    deadline = time.monotonic() + _ANSWER_TIMEOUT
    try:
        while not supervisor.stopping:
            supervisor.tick()
            missing = readiness.missing()
            if not missing:
                return True
            screen.waiting_for(missing)
            if time.monotonic() > deadline:
                message = (
                    f"All parts run, but after {_ANSWER_TIMEOUT:g} s {missing}. See {plan.settings.data_dir}/logs."
                )
                raise CommandError(message)
            time.sleep(_PAUSE)
    finally:
        readiness.close()
    return False


def _publish(folder: DataFolder, plan: Plan) -> None:
    folder.publish(
        {
            "pid": os.getpid(),
            "url": plan.url,
            "local_url": plan.local_url,
            "planned": [each.part.name for each in plan.parts],
            "control_plane": plan.settings.control_plane_target,
            "parts": {each.part.name: each.part.pid for each in plan.parts if each.part.running},
        }
    )


@contextmanager
def stop_on_signals(supervisor: Supervisor) -> Iterator[None]:
    """Lets SIGINT, SIGTERM and SIGHUP ask the supervisor to stop."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        supervisor.request_stop()

    before = {number: signal.signal(number, stop) for number in _STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            with suppress(TypeError):  # A handler that Python did not set can't be put back.
                signal.signal(number, handler)
