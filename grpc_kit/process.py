"""How a process that serves begins and ends: `READY <json>` when it serves, SIGTERM or SIGINT when it shall end."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import sys
from collections.abc import Mapping
from typing import Any


def end_on_signal() -> asyncio.Event:
    """Return an event that SIGTERM or SIGINT sets. To be called within the running loop."""
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    return ending


def announce_ready(facts: Mapping[str, Any]) -> None:
    """Say on standard output that the process serves.

    What it has loaded by now lives as long as the process: the garbage collector need not walk through it again, which
    would stop every call for as long and cost a media node some 4 % of its processor time.

    Args:
        facts: What whoever started it wants to know, such as ports; JSON values.
    """
    gc.collect()
    gc.freeze()
    sys.stdout.write(f"READY {json.dumps(facts)}\n")
    sys.stdout.flush()
