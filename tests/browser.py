"""Drives Debian's chromium over a pipe (the Chrome DevTools Protocol), with the standard library only."""

import base64
import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHROMIUM = Path("/usr/bin/chromium")
TIMEOUT = 60  # seconds; a shared machine may be slow at any moment
# DevTools reads descriptor 3 and writes descriptor 4.
LAUNCHER = (
    "import os, sys; r, w = map(int, sys.argv[1:3]); os.dup2(r, 3); os.dup2(w, 4); os.execv(sys.argv[3], sys.argv[3:])"
)
FLAGS = (
    "--headless=new", "--no-sandbox", "--remote-debugging-pipe", "--disable-gpu", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--no-first-run", "--disable-sync",
    "--disable-dev-shm-usage",
)  # fmt: skip


class Page:
    """A tab: what it says and asks for is in `messages` and `requests`."""

    def __init__(self, browser: "Browser", session: str) -> None:
        self.browser, self.session = browser, session
        self.messages: list[str] = []
        self.requests: list[str] = []

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self.browser.call(method, params, self.session)

    def open(self, url: str, width: int = 1280, height: int = 800, *, dark: bool = False, calm: bool = True) -> None:
        """Opens a page and waits until it has loaded."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.resize(width, height)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if calm else "no-preference"},
        ])  # fmt: skip
        self.messages.clear()
        self.requests.clear()
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def resize(self, width: int, height: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height,
            deviceScaleFactor=1 if width > 600 else 2, mobile=width <= 600,
        )  # fmt: skip

    def evaluate(self, expression: str) -> Any:
        """Returns the JSON value of an expression, or of its promise; what it throws is an AssertionError."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        """Waits until an expression is true."""
        deadline = time.monotonic() + TIMEOUT
        while not self.evaluate(condition):
            assert time.monotonic() < deadline, f"never true: {condition}"
            self.settle(1)

    def settle(self, frames: int = 3) -> None:
        """Waits for some frames; a tab has them only in front of the others."""
        if self.browser.front is not self:
            self.call("Page.bringToFront")
            self.browser.front = self
        step = "new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
        self.evaluate(f"(async () => {{ for (let i = 0; i < {frames}; i++) await {step}; }})()")

    def box(self, selector: str) -> tuple[float, float, float, float]:
        """Left, top, width and height of the first element that matches, which is scrolled into view."""
        left, top, width, height = self.evaluate(f"""(() => {{
            const found = document.querySelector({json.dumps(selector)});
            found.scrollIntoView({{block: "nearest"}});
            const box = found.getBoundingClientRect();
            return [box.left, box.top, box.width, box.height];
        }})()""")
        return left, top, width, height

    def mouse(self, kind: str, x: float, y: float, button: str = "none") -> None:
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, clickCount=int(button != "none"))

    def click(self, selector: str) -> None:
        left, top, width, height = self.box(selector)
        self.drag([(left + width / 2, top + height / 2)])

    def drag(self, places: list[tuple[float, float]]) -> None:
        """Presses the mouse at the first place and lets go at the last."""
        self.mouse("mousePressed", *places[0], button="left")
        for place in places[1:]:
            self.mouse("mouseMoved", *place, button="left")
        self.mouse("mouseReleased", *places[-1], button="left")

    def touch(self, places: list[tuple[float, float]]) -> None:
        """Drags one finger along the places."""
        kinds = ["touchStart", *["touchMove"] * (len(places) - 1)]
        for kind, (x, y) in zip(kinds, places, strict=True):
            self.call("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y}])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def key(self, key: str) -> None:
        codes = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Home": 36, "Tab": 9, " ": 32}
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=codes.get(key, ord(key[0])))

    def screenshot(self, path: Path, *, full: bool = False) -> None:
        data = self.call("Page.captureScreenshot", captureBeyondViewport=full)["data"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(data))

    def note(self, event: dict[str, Any]) -> None:
        """Keeps an event that a page should not cause."""
        method, params = event["method"], event["params"]
        if method == "Runtime.consoleAPICalled":
            self.messages.append(" ".join(str(arg.get("value", arg.get("description"))) for arg in params["args"]))
        elif method == "Runtime.exceptionThrown":
            self.messages.append(str(params["exceptionDetails"]))
        elif method == "Log.entryAdded":
            self.messages.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent" and not params["request"]["url"].startswith("data:"):
            self.requests.append(params["request"]["url"])


class Browser:
    """A running chromium."""

    def __init__(self, read: int, write: int) -> None:
        self.read, self.write = read, write
        self.buffer = b""
        self.last = 0
        self.pages: dict[str, Page] = {}
        self.front: Page | None = None

    def new_page(self) -> Page:
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        self.pages[session] = Page(self, session)
        return self.pages[session]

    def call(self, method: str, params: dict[str, Any], session: str | None = None) -> dict[str, Any]:
        self.last += 1
        message = {"id": self.last, "method": method, "params": params} | ({"sessionId": session} if session else {})
        content = json.dumps(message).encode() + b"\0"
        while content:
            content = content[os.write(self.write, content) :]
        while True:
            answer = self._next()
            if answer.get("id") == self.last:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result
            if answer.get("sessionId") in self.pages:
                self.pages[answer["sessionId"]].note(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.read], [], [], TIMEOUT)
            assert ready, "chromium does not answer"
            content = os.read(self.read, 1 << 20)
            assert content, "chromium has ended"
            self.buffer += content
        message, self.buffer = self.buffer.split(b"\0", 1)
        answer: dict[str, Any] = json.loads(message)
        return answer


@contextlib.contextmanager
def running() -> Iterator[Browser]:
    """Starts chromium, and ends it."""
    from_us, to_it = os.pipe()
    from_it, to_us = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", LAUNCHER, str(from_us), str(to_us), str(CHROMIUM), *FLAGS,
             f"--user-data-dir={folder}", "about:blank"],
            pass_fds=(from_us, to_us), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(from_us)
        os.close(to_us)
        try:
            yield Browser(from_it, to_it)
        finally:
            process.terminate()
            process.wait(TIMEOUT)
            os.close(to_it)
            os.close(from_it)
