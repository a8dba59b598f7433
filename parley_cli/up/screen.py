"""What the person at the terminal sees."""

import io
from collections.abc import Callable
from pathlib import Path

import segno
from rich.console import Console
from rich.status import Status

from parley_cli.up.plan import Plan

_NAME_WIDTH = 16


class Screen:
    """Prints a line for each part as it comes up, then the address, then what goes wrong.

    Args:
        console: The terminal, or a file or pipe, which gets the same lines without colours and spinner.
        logs: Folder of the logs, to point to.
        changed: Called after a part came up.
    """

    def __init__(self, console: Console, logs: Path, changed: Callable[[], None]) -> None:
        self._console = console
        self._logs = logs
        self._changed = changed
        self._waiting: list[str] = []
        self._status: Status | None = console.status("") if console.is_terminal else None
        self._up = False

    def starting(self, name: str) -> None:
        """A part is being started."""
        self._waiting.append(name)
        self._show_waiting()

    def ready(self, name: str, seconds: float) -> None:
        """A part serves."""
        self._waiting = [waiting for waiting in self._waiting if waiting != name]
        again = "again, " if self._up else ""
        self._console.print(f"[green]✓[/] {name:<{_NAME_WIDTH}} [dim]{again}{seconds:5.1f} s[/]", highlight=False)
        self._show_waiting()
        self._changed()

    def died(self, name: str, reason: str, delay: float) -> None:
        """A part ended by itself."""
        when = f"in {delay:g} s" if delay else "now"
        line = f"[yellow]![/] {name:<{_NAME_WIDTH}} ended, starting it again {when}"
        self._console.print(line, highlight=False)
        self._console.print(f"  {reason}", style="dim", highlight=False, markup=False, soft_wrap=True)
        self._console.print(
            f"  log: {self._logs / name}.log", style="dim", highlight=False, markup=False, soft_wrap=True
        )

    def waiting_for(self, what: str) -> None:
        """All parts are up, but something does not answer yet."""
        if self._status:
            self._status.update(f"{what} …")

    def up(self, plan: Plan, seconds: float, *, lan: bool) -> None:
        """Everything answers."""
        self._stop_status()
        self._up = True
        self._console.print(f"\nParley is up after {seconds:.1f} s. Ctrl-C stops it.\n", highlight=False)
        self._console.print(plan.url, style="bold cyan", highlight=False, soft_wrap=True)
        if lan:
            self._console.print(
                "\nOthers on this network open the same address, or point a phone's camera here.\n"
                "The certificate is made here, so browsers ask once whether to go on.\n",
                highlight=False,
            )
            code = io.StringIO()
            segno.make(plan.url, error="m").terminal(code, compact=True)
            self._console.file.write(code.getvalue())

    def stopping(self) -> None:
        """It was asked to stop."""
        self._stop_status()
        self._console.print("\nStopping …", highlight=False)

    def stopped(self) -> None:
        """Nothing runs any more."""
        self._console.print("Parley has stopped.", highlight=False)

    def close(self) -> None:
        """Takes the spinner away."""
        self._stop_status()

    def _show_waiting(self) -> None:
        if self._status is None or self._up:
            return
        if self._waiting:
            self._status.update(f"starting {', '.join(self._waiting)} …")
            self._status.start()
        else:
            self._status.stop()

    def _stop_status(self) -> None:
        if self._status:
            self._status.stop()
