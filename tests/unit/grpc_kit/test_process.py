"""How a process begins and ends."""

import asyncio
import gc
import json
import os
import signal

import pytest

from grpc_kit.process import announce_ready, end_on_signal


def test_ready_is_one_line_of_json_and_what_is_loaded_is_no_longer_walked_through(
    capsys: pytest.CaptureFixture[str],
) -> None:
    walked = len(gc.get_objects())
    try:
        announce_ready({"port": 7000})

        assert gc.get_freeze_count() > walked / 2
        assert len(gc.get_objects()) < walked / 2
    finally:
        gc.unfreeze()
    kind, _, facts = capsys.readouterr().out.partition(" ")
    assert kind == "READY"
    assert json.loads(facts) == {"port": 7000}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it(number: signal.Signals) -> None:
    loop = asyncio.get_running_loop()
    ending = end_on_signal()
    try:
        assert not ending.is_set()
        os.kill(os.getpid(), number)
        await asyncio.wait_for(ending.wait(), 2)
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        loop.remove_signal_handler(signal.SIGINT)
