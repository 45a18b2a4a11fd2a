"""Drives Debian's chromium with playwright."""

import base64
import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright import sync_api

CHROMIUM = Path("/usr/bin/chromium")
TIMEOUT = 60  # seconds; a shared machine may be slow at any moment


class Page:
    """A tab: what it says and asks for is in `messages` and `requests`."""

    def __init__(self, browser: "Browser", tab: sync_api.Page) -> None:
        self.browser, self.tab = browser, tab
        self.devtools = tab.context.new_cdp_session(tab)
        self.messages: list[str] = []
        self.requests: list[str] = []
        tab.on("console", lambda message: self.messages.append(message.text))
        tab.on("pageerror", lambda error: self.messages.append(str(error)))
        tab.on("request", lambda request: request.url.startswith("data:") or self.requests.append(request.url))
        tab.set_default_timeout(1000 * TIMEOUT)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Calls a method of the Chrome DevTools Protocol."""
        answer: dict[str, Any] = self.devtools.send(method, params)
        return answer

    def open(self, url: str, width: int = 1280, height: int = 800, *, dark: bool = False, calm: bool = True) -> None:
        """Opens a page and waits until it has loaded."""
        self.resize(width, height)
        self.tab.emulate_media(
            color_scheme="dark" if dark else "light", reduced_motion="reduce" if calm else "no-preference"
        )
        self.messages.clear()
        self.requests.clear()
        self.tab.goto(url)

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
            self.tab.bring_to_front()
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


class Browser:
    """A running chromium, whose tabs share their processes: each page of its own would start some."""

    def __init__(self, chromium: sync_api.Browser) -> None:
        self.context = chromium.new_context(no_viewport=True)
        self.front: Page | None = None

    def new_page(self) -> Page:
        return Page(self, self.context.new_page())


@contextlib.contextmanager
def running() -> Iterator[Browser]:
    """Starts chromium, and ends it."""
    flags = ["--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"]
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield Browser(chromium)
        chromium.close()
