"""A client of WebDriver BiDi (https://w3c.github.io/webdriver-bidi), the protocol by which Firefox is driven."""

import asyncio
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import websockets

_ANSWER_SECONDS: Final = 30.0


class BidiError(Exception):
    """The browser refused a command, or a script threw; the message is its own."""


@dataclass(slots=True)
class Bidi:
    """A connection to a browser.

    Attributes:
        on_event: Is told each event's name and parameters.
    """

    on_event: Callable[[str, Mapping[str, Any]], None]
    _socket: websockets.ClientConnection
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    _waiting: dict[int, asyncio.Future[Mapping[str, Any]]] = field(default_factory=dict)
    _reading: asyncio.Task[None] | None = None

    @classmethod
    async def connect(cls, url: str, on_event: Callable[[str, Mapping[str, Any]], None]) -> Self:
        """Connect and begin a session."""
        bidi = cls(on_event, await websockets.connect(url, max_size=None, proxy=None))
        bidi._reading = asyncio.create_task(bidi._read())
        await bidi.command("session.new", capabilities={"alwaysMatch": {"acceptInsecureCerts": True}})
        return bidi

    async def close(self) -> None:
        """End the connection; the browser runs on."""
        await self._socket.close()
        if self._reading:
            await self._reading

    async def command(self, method: str, **parameters: Any) -> Mapping[str, Any]:  # noqa: ANN401 - any JSON
        """Send a command and return its result.

        Raises:
            BidiError: The browser refused it.
        """
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        async with asyncio.timeout(_ANSWER_SECONDS):
            message = await answer
        if message["type"] == "error":
            raise BidiError(f"{method}: {message['error']}: {message['message']}")
        result: Mapping[str, Any] = message["result"]
        return result

    async def evaluate(self, context: str, expression: str) -> Any:  # noqa: ANN401 - whatever the page answers
        """Return what an expression, or the promise it makes, comes to; it must be JSON.

        Raises:
            BidiError: It threw.
        """
        result = await self.command(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await ({expression})) ?? 'null')()",
            target={"context": context},
            awaitPromise=True,
        )
        if result["type"] == "exception":
            raise BidiError(result["exceptionDetails"]["text"])
        return json.loads(result["result"]["value"])

    async def _read(self) -> None:
        async for text in self._socket:
            message = json.loads(text)
            if message["type"] == "event":
                self.on_event(message["method"], message["params"])
            elif (answer := self._waiting.pop(message["id"], None)) and not answer.done():
                answer.set_result(message)
