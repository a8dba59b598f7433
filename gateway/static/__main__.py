"""Runs the server of the web client: `python -m gateway.static`."""

import asyncio
import contextlib
import os
import signal
import sys

from granian.constants import Interfaces
from granian.server.embed import Server
from pydantic import ValidationError

from gateway.settings import GatewaySettings
from gateway.static.app import create_app
from gateway.static.assets import MissingClientError, load_assets, load_docs
from grpc_kit.process import announce_ready

_CONFIGURATION_ERROR = 2


def main() -> int:
    """Serves until SIGTERM or SIGINT; returns the exit status."""
    try:
        settings = GatewaySettings()
        assets = {**load_assets(settings.web_root), **load_docs(settings.docs_root)}
    except (ValidationError, ValueError, OSError, MissingClientError) as error:
        sys.stderr.write(f"{error}\n")
        return _CONFIGURATION_ERROR
    host, _, port = settings.static_address.rpartition(":")
    server = Server(
        create_app(assets),
        address=host,
        port=int(port),
        interface=Interfaces.ASGI,
        websockets=False,
        backlog=1024,
        log_enabled=False,
    )
    asyncio.run(_serve(server, host, int(port)))
    return 0


async def _serve(server: Server, host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    serving = loop.create_task(server.serve())
    probing = loop.create_task(_probe(host, port))
    done, _ = await asyncio.wait({serving, probing}, return_when=asyncio.FIRST_COMPLETED)
    if probing in done:
        announce_ready({"port": port})
    else:
        probing.cancel()
    await serving


async def _probe(host: str, port: int) -> None:
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
            return
        await asyncio.sleep(0.01)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # The server's runtime threads outlive it, and panic when the interpreter is taken down around them.
    os._exit(status)
