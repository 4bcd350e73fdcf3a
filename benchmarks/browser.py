"""A headless Chromium, spoken to by its DevTools protocol over a pipe: no driver, no port, no further library."""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-pipe",
)
_START = """
import fcntl, os, sys
pipes = [fcntl.fcntl(int(pipe), fcntl.F_DUPFD, 10) for pipe in sys.argv[1:3]]
os.dup2(pipes[0], 3)
os.dup2(pipes[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""The browser reads its commands from 3 and answers on 4."""

_ANSWERS_WITHIN_S = 120.0
_LONGEST_PAGE = 16_000
_READY = 'document.readyState === "complete" && (!document.getElementById("stack") || document.documentElement.dataset.viewer)'
_MIDDLE = """(() => {
  const element = document.querySelector(%s);
  element.scrollIntoView({ block: "center", behavior: "instant" });
  const frame = element.getBoundingClientRect();
  return [frame.x + frame.width / 2, frame.y + frame.height / 2];
})()"""


_FRAME = """(() => {
  const frame = document.querySelector(%s).getBoundingClientRect();
  return [frame.x, frame.y, frame.width, frame.height];
})()"""


def chromium() -> str | None:
    """Returns the browser of this machine, or ``None``."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class BrowserError(RuntimeError):
    """The browser did not do what it was asked for."""


class Browser:
    """One browser with one page.

    Attributes:
        console: What the page said to the console, and what it failed at.
        requests: Addresses that the page asked for, its own among them.
    """

    def __init__(self, program: str) -> None:
        """Starts it.

        Args:
            program: As :func:`chromium` found it.
        """
        self.console: list[str] = []
        self.requests: list[str] = []
        self._events: deque[dict[str, Any]] = deque()
        self._profile = tempfile.TemporaryDirectory(prefix="cspine-browser-", ignore_cleanup_errors=True)
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                _START,
                str(theirs_in),
                str(theirs_out),
                program,
                *_FLAGS,
                f"--user-data-dir={self._profile.name}",
            ],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._rest, self._count, self._session, self._address = b"", 0, "", ""
        try:
            self._attach()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Ends it."""
        os.close(self._out)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)
        self._profile.cleanup()

    def open(self, page: Path | str, width: int = 1280, height: int = 900, scale: float = 1.0, *, dark: bool = False) -> None:
        """Loads a page from a file or an address and waits until it stands."""
        self._load("about:blank")  # so that no page before says anything more
        self.console.clear()
        self.requests.clear()
        self.resize(width, height, scale, dark=dark)
        self._load(page if isinstance(page, str) else page.resolve().as_uri())
        self.wait_for(_READY)

    def _load(self, address: str) -> None:
        self._address = address
        self._events.clear()  # of a page that went there by itself
        self.call("Page.navigate", url=address)
        self._await_event("Page.loadEventFired")

    def resize(self, width: int, height: int, scale: float = 1.0, *, dark: bool = False) -> None:
        """Sets the size of the window and which colours the system prefers."""
        phone = width < 600
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone)
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.call("Emulation.setEmulatedMedia", features=features)

    def evaluate(self, expression: str) -> Any:
        """Returns the value of a JavaScript expression; promises are awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise BrowserError(f"The page raised: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def evaluate_in_frame(self, address: str, expression: str) -> Any:
        """Returns the value of a JavaScript expression in a frame that has a process of its own, as sandboxed ones have.

        Args:
            address: The end of its address.
            expression: What is evaluated.
        """
        targets = self.call("Target.getTargets")["targetInfos"]
        frames = [target for target in targets if target["type"] == "iframe" and target["url"].endswith(address)]
        if not frames:
            raise BrowserError(f"The page has no frame {address}. It has: {[target['url'] for target in targets]}")
        page, self._session = self._session, ""
        try:
            frame = self.call("Target.attachToTarget", targetId=frames[0]["targetId"], flatten=True)["sessionId"]
            self._session = frame
            answer = self.evaluate(expression)
            self._session = ""
            self.call("Target.detachFromTarget", sessionId=frame)
            return answer
        finally:
            self._session = page

    def wait_for(self, condition: str) -> None:
        """Waits until a JavaScript expression is true and what follows from it is painted."""
        end = time.monotonic() + _ANSWERS_WITHIN_S
        while not self.evaluate(f"Boolean({condition})"):
            if time.monotonic() > end:
                raise BrowserError(f"The page did not reach: {condition}. Its console: {self.console}")
            time.sleep(0.05)
        self.painted()

    def painted(self) -> None:
        """Waits until all that was asked for is on the screen."""
        self.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def press(self, key: str) -> None:
        """Presses and releases a key."""
        text = {"text": key} if len(key) == 1 else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, **(text if kind == "keyDown" else {}))
        self.painted()

    def wheel(self, selector: str, by: float) -> None:
        """Turns the wheel over an element."""
        x, y = self._middle(selector)
        self.call("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=by)
        self.painted()

    def click(self, selector: str) -> None:
        """Clicks into the middle of an element."""
        x, y = self._middle(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        self.painted()

    def drag(self, selector: str, start: tuple[float, float], end: tuple[float, float], button: str = "left") -> None:
        """Drags the mouse within an element.

        Args:
            selector: The element.
            start: Where the button goes down, as shares of its width and height.
            end: Where it comes up.
            button: ``left``, ``middle`` or ``right``.
        """
        frame = self._frame(selector)
        (x, y), (to_x, to_y) = self._within(frame, start), self._within(frame, end)
        pressed = {"button": button, "buttons": {"left": 1, "right": 2, "middle": 4}[button]}
        self.call("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, clickCount=1, **pressed)
        for share in (0.25, 0.5, 0.75, 1.0):
            place = {"x": x + share * (to_x - x), "y": y + share * (to_y - y)}
            self.call("Input.dispatchMouseEvent", type="mouseMoved", **place, **pressed)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", x=to_x, y=to_y, button=button, clickCount=1)
        self.painted()

    def pinch(self, selector: str, apart: float, then: float) -> None:
        """Puts two fingers on the middle of an element, so many pixels apart, and moves them."""
        x, y = self._middle(selector)

        def fingers(distance: float) -> list[dict[str, float]]:
            return [{"x": x - distance / 2, "y": y, "id": 1}, {"x": x + distance / 2, "y": y, "id": 2}]

        for kind, distance in (("touchStart", apart), ("touchMove", (apart + then) / 2), ("touchMove", then)):
            self.call("Input.dispatchTouchEvent", type=kind, touchPoints=fingers(distance))
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        self.painted()

    def swipe(self, selector: str, by: float) -> None:
        """Drags a finger up or down from the middle of an element."""
        x, y = self._middle(selector)
        for kind, way in (("touchStart", 0.0), ("touchMove", by / 2), ("touchMove", by)):
            self.call("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y + way}])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        self.painted()

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """Writes a picture of the page, all of it or what the window shows."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], _LONGEST_PAGE), "scale": 1}
        answer = self.call(
            "Page.captureScreenshot", format="png", **({"captureBeyondViewport": True, "clip": clip} if whole else {})
        )
        path.write_bytes(base64.b64decode(answer["data"]))

    def print_to(self, path: Path) -> None:
        """Prints the page to a PDF file."""
        answer = self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Calls a method of the protocol and waits for its answer."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._count:
            self._note(answer)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    def _attach(self) -> None:
        pages = [target for target in self.call("Target.getTargets")["targetInfos"] if target["type"] == "page"]
        self._session = self.call("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def _middle(self, selector: str) -> tuple[float, float]:
        found = self.evaluate(_MIDDLE % json.dumps(selector))
        return float(found[0]), float(found[1])

    def _frame(self, selector: str) -> tuple[float, float, float, float]:
        """Returns left, top, width and height of an element, scrolled into view."""
        self._middle(selector)
        found = self.evaluate(_FRAME % json.dumps(selector))
        return float(found[0]), float(found[1]), float(found[2]), float(found[3])

    @staticmethod
    def _within(frame: tuple[float, float, float, float], share: tuple[float, float]) -> tuple[float, float]:
        return frame[0] + share[0] * frame[2], frame[1] + share[1] * frame[3]

    def _await_event(self, method: str) -> None:
        while not any(event["method"] == method for event in self._events):
            self._note(self._next())
        self._events.clear()

    def _note(self, message: dict[str, Any]) -> None:
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Runtime.consoleAPICalled":
            self.console.append(" ".join(str(part.get("value", part.get("description"))) for part in parameters["args"]))
        elif method == "Runtime.exceptionThrown":
            self.console.append(str(parameters["exceptionDetails"]))
        elif method == "Log.entryAdded":
            self.console.append(str(parameters["entry"]["text"]))
        elif method == "Network.requestWillBeSent" and parameters["documentURL"] == self._address:
            self.requests.append(str(parameters["request"]["url"]))
        elif method == "Page.loadEventFired":
            self._events.append(message)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], _ANSWERS_WITHIN_S)
            part = os.read(self._in, 1 << 20) if ready else b""
            if not part:
                raise BrowserError("The browser fell silent.")
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message
