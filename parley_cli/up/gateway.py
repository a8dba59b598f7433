"""`parley gateway`: Envoy and the web client's server, without the rest."""

import sys

from grpc_kit.process import announce_ready
from parley_cli.settings import Settings
from parley_cli.up.data_folder import DataFolder
from parley_cli.up.plan import check_public_port, gateway_parts
from parley_cli.up.run import stop_on_signals
from parley_cli.up.supervisor import Supervisor


class _Quiet:
    """Says nothing of starts, and of deaths on standard error."""

    def starting(self, name: str) -> None:
        """Says nothing."""

    def ready(self, name: str, seconds: float) -> None:
        """Says nothing."""

    def died(self, name: str, reason: str, delay: float) -> None:
        """Says which part died and why."""
        sys.stderr.write(f"parley: {name} ended ({reason}); starting it again in {delay:g} s\n")


def run_gateway(settings: Settings) -> None:
    """Runs the gateway until a signal comes; prints one READY line.

    Raises:
        CommandError: It can't be started.
    """
    folder = DataFolder(settings.data_dir)
    folder.open()
    check_public_port(settings)
    supervisor = Supervisor(gateway_parts(settings, folder.path, folder.logs), _Quiet(), folder.held)
    with stop_on_signals(supervisor):
        try:
            if supervisor.start():
                announce_ready({"port": settings.port})
                supervisor.run()
        finally:
            supervisor.stop()
