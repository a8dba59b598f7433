"""A network of its own for a browser, behind a router that can drop UDP: namespaces, virtual cables, a routing rule.

Needs root, as the test machines give it. There is no packet filter everywhere, but a routing rule may look at the
protocol: what it sends into a black hole vanishes without a word, as behind a firewall that drops.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.support.browser import CHROMIUM
from tests.support.waiting import until

_RULE: Final = "10"
"""Preference of the rule: behind the router's own addresses, before all routes."""
_FORWARDING: Final = Path("/proc/sys/net/ipv4/ip_forward")

_RELAY: Final = """
import asyncio, sys

async def pipe(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()

async def main(bind, port, host, target):
    async def serve(reader, writer):
        try:
            there, back = await asyncio.open_connection(host, int(target))
        except OSError:
            writer.close()
            return
        await asyncio.gather(pipe(reader, back), pipe(there, writer))
    server = await asyncio.start_server(serve, bind, int(port))
    await server.serve_forever()

asyncio.run(main(*sys.argv[1:]))
"""
"""Passes connections on: pages count as secure on loopback alone, so the browser needs the gateway on its own."""


def available() -> bool:
    """Whether this machine lets us make networks."""
    probe = f"parley-probe-{os.getpid()}"
    made = subprocess.run(("ip", "netns", "add", probe), check=False, capture_output=True).returncode == 0  # noqa: S603, S607 - iproute2
    if made:
        _ip("netns", "del", probe)
    return made


@dataclass(slots=True)
class Behind:
    """A network behind a router; the machine's own end of it has the address `node`."""

    folder: Path
    number: int = field(default_factory=lambda: os.getpid() % 200)
    _helpers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def node(self) -> str:
        """This machine's address that is reached through the router."""
        return f"10.{self.number}.2.1"

    @property
    def _inside(self) -> str:
        return f"parley-in-{self.number}"

    @property
    def _router(self) -> str:
        return f"parley-router-{self.number}"

    def make(self) -> None:
        """Lay the cables: browser, router, this machine."""
        near, far = f"10.{self.number}.1", f"10.{self.number}.2"
        for namespace in (self._inside, self._router):
            _ip("netns", "add", namespace)
            _ip("-n", namespace, "link", "set", "lo", "up")
        _ip("link", "add", "br0", "netns", self._inside, "type", "veth", "peer", "name", "in0", "netns", self._router)
        outer = f"parley{self.number}"
        _ip("link", "add", outer, "type", "veth", "peer", "name", "out0", "netns", self._router)
        _ip("-n", self._inside, "addr", "add", f"{near}.2/24", "dev", "br0")
        _ip("-n", self._router, "addr", "add", f"{near}.1/24", "dev", "in0")
        _ip("-n", self._router, "addr", "add", f"{far}.2/24", "dev", "out0")
        _ip("addr", "add", f"{self.node}/24", "dev", outer)
        _ip("link", "set", outer, "up")
        for namespace, device in ((self._inside, "br0"), (self._router, "in0"), (self._router, "out0")):
            _ip("-n", namespace, "link", "set", device, "up")
        _ip("-n", self._inside, "route", "add", "default", "via", f"{near}.1")
        _ip("route", "add", f"{near}.0/24", "via", f"{far}.2")
        self._run(self._router, sys.executable, "-c", f"open({str(_FORWARDING)!r}, 'w').write('1')")

    async def offer(self, port: int) -> None:
        """Let the browser reach the machine's loopback port on its own loopback, over TCP through the router."""
        here = (sys.executable, "-c", _RELAY, self.node, str(port), "127.0.0.1", str(port))
        self._helpers.append(subprocess.Popen(here))  # noqa: ASYNC220, S603 - ours
        there = (sys.executable, "-c", _RELAY, "127.0.0.1", str(port), self.node, str(port))
        self._helpers.append(subprocess.Popen(("ip", "netns", "exec", self._inside, *there)))  # noqa: ASYNC220, S603, S607 - ours
        await until(
            lambda: asyncio.to_thread(self._answers, port), what="the gateway is reached from behind the router"
        )

    def _answers(self, port: int) -> bool:
        code = f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:{port}/', timeout=2)"
        command = ("ip", "netns", "exec", self._inside, sys.executable, "-c", code)
        return subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603 - ours

    def browser(self) -> Path:
        """Return a program that starts Chromium behind the router."""
        path = self.folder / "chromium-behind"
        path.write_text(f'#!/bin/sh\nexec ip netns exec {self._inside} {CHROMIUM} "$@"\n')
        path.chmod(0o700)
        return path

    def drop_udp(self) -> None:
        """Let UDP vanish in both directions from now on."""
        _ip("-n", self._router, "rule", "add", "pref", _RULE, "ipproto", "udp", "blackhole")

    def pass_udp(self) -> None:
        """Let UDP through again."""
        _ip("-n", self._router, "rule", "del", "pref", _RULE)

    def _run(self, namespace: str, *command: str) -> None:
        subprocess.run(("ip", "netns", "exec", namespace, *command), check=True)  # noqa: S603, S607 - iproute2

    def remove(self) -> None:
        """Take everything away; cables go with the namespaces."""
        for helper in self._helpers:
            helper.terminate()
            helper.wait()
        for namespace in (self._inside, self._router):
            _ip("netns", "del", namespace)


def _ip(*arguments: str) -> None:
    subprocess.run(("ip", *arguments), check=True)  # noqa: S603, S607 - iproute2
