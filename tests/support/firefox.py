"""People in real Firefox windows on a virtual screen, by WebDriver BiDi: Playwright can't drive Debian's build."""

import asyncio
import base64
import json
import os
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from media_plane.bots.tone import frequency_of
from tests.support import media
from tests.support.bidi import Bidi, BidiError
from tests.support.participant import Participant
from tests.support.waiting import until

FIREFOX: Final = "firefox-esr"
_SCREEN: Final = (1280, 800)
_TONE_NUMBER: Final = 50
"""The microphone of everybody in Firefox: its tone is set once for the whole browser."""
_PREFERENCES: Final[Mapping[str, object]] = {
    "app.update.auto": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "media.autoplay.default": 0,
    "media.gmp-manager.updateEnabled": False,
    "media.navigator.audio.fake_frequency": round(frequency_of(_TONE_NUMBER)),
    "media.navigator.permission.disabled": True,
    "media.navigator.streams.fake": True,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "remote.prefs.recommended": True,
}
"""Fake microphone and camera, no questions, the first monitor for who shares a screen; ICE is as people have it."""

_CAMERA: Final = """
(() => {
  if (!navigator.mediaDevices) return;
  const native = MediaDevices.prototype.getUserMedia;
  const marked = (device) => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 1280, height: 720 });
    let counter = 0;
    const paint = () => parleyTest.paint(canvas, NUMBER, counter++ % 256);
    paint();
    const painting = setInterval(paint, 50);
    const [track] = canvas.captureStream(20).getVideoTracks();
    const stop = track.stop.bind(track);
    track.stop = () => { clearInterval(painting); device.stop(); stop(); };
    track.getSettings = () => ({ ...device.getSettings(), width: canvas.width, height: canvas.height });
    return track;
  };
  MediaDevices.prototype.getUserMedia = async function (constraints) {
    const stream = await native.call(this, constraints);
    for (const device of stream.getVideoTracks()) { stream.removeTrack(device); stream.addTrack(marked(device)); }
    return stream;
  };
})();
"""
"""Puts a picture that others can recognise in the place of the fake camera's, which has none of its own."""

_SLIDES: Final = """(() => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 400 });
  const place = () => { canvas.style.cssText = `position:fixed;width:${screen.width}px;height:${screen.height}px;` +
    `left:${-mozInnerScreenX}px;top:${-mozInnerScreenY}px`; };
  let counter = 0;
  setInterval(() => { place(); parleyTest.paint(canvas, NUMBER, counter++ % 256); }, 100);
  document.body.append(canvas);
})()"""
"""Paints marks that fill the screen as far as this window shows it; the middle half of it is what is read."""


@dataclass(slots=True)
class Firefox:
    """One Firefox; each person in it has a window and a storage of their own."""

    folder: Path
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _bidi: Bidi | None = None
    _people: list["FirefoxPerson"] = field(default_factory=list)

    async def start(self) -> None:
        """Start a virtual screen and Firefox on it."""
        display = await asyncio.to_thread(self._start_screen)
        profile = self.folder / "profile"
        profile.mkdir()
        lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in _PREFERENCES.items())
        (profile / "user.js").write_text("".join(lines))
        command = (FIREFOX, "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0", "about:blank")
        environment = {**os.environ, "DISPLAY": display, "HOME": str(self.folder)}
        self._processes.append(self._spawn(command, environment))
        address = await until(
            lambda: asyncio.to_thread(_address, profile), within=60, what="Firefox listens for WebDriver BiDi"
        )
        self._bidi = await Bidi.connect(f"{address}/session", self._hear)
        await self._bidi.command("session.subscribe", events=["log.entryAdded"])

    async def person(self, number: int, *, name: str, script: str = "") -> "FirefoxPerson":
        """Open a fresh window for participant `number`; `script` runs in each page before its own."""
        bidi = self._bidi
        assert bidi
        user = (await bidi.command("browser.createUserContext"))["userContext"]
        scripts = media.PROBE_SCRIPT + _CAMERA.replace("NUMBER", str(number)) + script
        await bidi.command("script.addPreloadScript", functionDeclaration=f"() => {{{scripts}}}", userContexts=[user])
        window = (await bidi.command("browsingContext.create", type="window", userContext=user))["context"]
        person = FirefoxPerson(number=number, name=name, bidi=bidi, user=user, window=window)
        self._people.append(person)
        return person

    async def clear(self, evidence: Path | None) -> None:
        """Close all windows; with `evidence`, first keep what each showed and said there."""
        for person in self._people:
            if evidence is not None:
                with suppress(BidiError):
                    await person.keep_evidence(evidence)
            with suppress(BidiError):
                await person.bidi.command("browser.removeUserContext", userContext=person.user)
        self._people.clear()

    async def close(self) -> None:
        """End Firefox and its screen."""
        if self._bidi:
            await self._bidi.close()
        for process in reversed(self._processes):
            process.terminate()
            await asyncio.to_thread(process.wait, 30)

    def _start_screen(self) -> str:
        """Start Xvfb on a free display; its name."""
        end, told = os.pipe()
        size = f"{_SCREEN[0]}x{_SCREEN[1]}x24"
        command = ("Xvfb", "-displayfd", str(told), "-screen", "0", size, "-nolisten", "tcp")
        self._processes.append(self._spawn(command, dict(os.environ), told))
        os.close(told)
        with os.fdopen(end) as number:
            return f":{number.readline().strip()}"

    def _spawn(self, command: tuple[str, ...], environment: dict[str, str], *kept: int) -> subprocess.Popen[bytes]:
        with (self.folder / f"{Path(command[0]).name}.log").open("wb") as log:
            return subprocess.Popen(  # noqa: S603 - ours
                command, env=environment, stdout=log, stderr=subprocess.STDOUT, pass_fds=kept
            )

    def _hear(self, event: str, parameters: Mapping[str, Any]) -> None:
        if event == "log.entryAdded":
            for person in self._people:
                if person.window == parameters["source"].get("context"):
                    person.console.append(f"{parameters['level']}: {parameters['text']}")


@dataclass(slots=True)
class FirefoxPerson(Participant):
    """Somebody at a window of Firefox."""

    bidi: Bidi
    user: str
    window: str
    _address: str = ""

    @property
    def url(self) -> str:
        """Address that the window showed last."""
        return self._address

    @property
    def tone(self) -> float:
        """Hertz of the microphone."""
        return frequency_of(_TONE_NUMBER)

    async def visit(self, url: str) -> None:
        """Open an address."""
        await self.bidi.command("browsingContext.navigate", context=self.window, url=url, wait="complete")

    async def press(self, name: str) -> None:
        """Press a button by its whole accessible name, with the mouse."""
        await self._click(await self._locate("button", name))

    async def fill(self, label: str, text: str) -> None:
        """Write into a field by its label, with the keyboard."""
        await self._click(await self._locate("textbox", label))
        keys = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        select = [{"type": kind, "value": key} for kind, key in (("keyDown", "\ue009"), ("keyDown", "a"))]
        release = [{"type": "keyUp", "value": key} for key in ("a", "\ue009")]
        await self._act({"type": "key", "id": "keyboard", "actions": [*select, *release, *keys]})

    async def finds(self, name: str) -> None:
        """Wait for a button by its whole accessible name."""
        await self._locate("button", name)

    async def evaluate(self, expression: str) -> Any:  # noqa: ANN401 - whatever the page answers
        """Evaluate a JavaScript expression in the page."""
        return await self.bidi.evaluate(self.window, expression)

    async def open_slides(self) -> None:
        """Fill the screen that this person can share with marks."""
        created = await self.bidi.command("browsingContext.create", type="window", userContext=self.user)
        context = created["context"]
        tree = await self.bidi.command("browsingContext.getTree", root=context)
        window = tree["contexts"][0]["clientWindow"]
        size = {"x": 0, "y": 0, "width": _SCREEN[0], "height": _SCREEN[1]}
        await self.bidi.command("browser.setClientWindowState", clientWindow=window, state="normal", **size)
        await self.bidi.evaluate(context, _SLIDES.replace("NUMBER", str(media.SLIDES_NUMBER)))

    async def screenshot(self) -> bytes:
        """The window's page as PNG."""
        shot = await self.bidi.command("browsingContext.captureScreenshot", context=self.window)
        return base64.b64decode(shot["data"])

    async def keep_evidence(self, folder: Path) -> None:
        """Save a screenshot, the console and what the probe sees into an existing folder."""
        seen = {"tiles": [str(tile) for tile in await self.tiles()], "tones": await self.tones()}
        log = "\n".join([await self.evaluate("location.href"), json.dumps(seen), *self.console])
        await asyncio.to_thread((folder / f"firefox-{self.number}.log").write_text, log)
        await asyncio.to_thread((folder / f"firefox-{self.number}.png").write_bytes, await self.screenshot())

    async def _locate(self, role: str, name: str) -> Mapping[str, Any]:
        """Wait for what has this role and name, and is enabled; remember where that was."""
        locator = {"type": "accessibility", "value": {"role": role, "name": name}}

        async def found() -> list[Mapping[str, Any]]:
            result = await self.bidi.command("browsingContext.locateNodes", context=self.window, locator=locator)
            nodes: list[Mapping[str, Any]] = result["nodes"]
            return [node for node in nodes if "disabled" not in node["value"]["attributes"]]

        nodes = await until(found, what=f"{self.name} finds the {role} {name!r}")
        self._address = await self.evaluate("location.href")
        return nodes[0]

    async def _click(self, node: Mapping[str, Any]) -> None:
        await self.bidi.command(
            "script.callFunction",
            functionDeclaration="(element) => element.scrollIntoView({ block: 'nearest' })",
            arguments=[{"sharedId": node["sharedId"]}],
            target={"context": self.window},
            awaitPromise=False,
        )
        origin = {"type": "element", "element": {"sharedId": node["sharedId"]}}
        move = {"type": "pointerMove", "x": 0, "y": 0, "origin": origin}
        buttons = [{"type": kind, "button": 0} for kind in ("pointerDown", "pointerUp")]
        await self._act({"type": "pointer", "id": "mouse", "actions": [move, *buttons]})

    async def _act(self, *sources: Mapping[str, Any]) -> None:
        await self.bidi.command("input.performActions", context=self.window, actions=list(sources))


def _address(profile: Path) -> str:
    """Where a Firefox that uses this profile listens; empty: nowhere yet."""
    try:
        server = json.loads((profile / "WebDriverBiDiServer.json").read_text())
    except (OSError, ValueError):
        return ""
    return f"ws://{server['ws_host']}:{server['ws_port']}"
