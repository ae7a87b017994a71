"""Debian's chromium, driven over its pipe by the DevTools protocol: no port is opened, nothing is installed."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
MISSING = "there is no chromium (apt-get install chromium)"
HANGS_S = 30
NO_GESTURE = "NavigationEntryMarkedSkippable"
"""What it remarks of a step back to what a script, and no person, went to."""


class Tab:
    """A page that is open, with everything that it complained of and asked for."""

    def __init__(self, browser: Browser, session: str) -> None:
        self.browser, self.session = browser, session
        self.complaints: list[str] = []
        """Errors and warnings of the console, exceptions, violations of the policy."""
        self.requests: list[str] = []
        """Every address that was asked for."""

    def call(self, method: str, **params: Any) -> Any:
        """A method of the protocol."""
        return self.browser.call(method, self.session, **params)

    def run(self, expression: str) -> Any:
        """The value of an expression, awaited."""
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def until(self, expression: str) -> Any:
        """Waits until an expression is true."""
        end = time.monotonic() + HANGS_S
        while time.monotonic() < end:
            if value := self.run(expression):
                return value
            time.sleep(0.05)
        raise AssertionError(f"never true: {expression}")

    def open(self, file: Path, address: str = "") -> None:
        """Opens a file from the disk, and waits for its script."""
        self.call("Page.navigate", url="about:blank")
        self.requests.clear()
        self.call("Page.navigate", url=f"{file.resolve().as_uri()}{address}")
        self.until("document.readyState === 'complete' && 'ready' in document.documentElement.dataset")

    def press(self, key: str, code: int = 0) -> None:
        """Presses a key, as a person would."""
        text = key if len(key) == 1 else "\r" if key == "Enter" else ""
        more = {"text": text} if text else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code or _code(key), **more)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code or _code(key))

    def click(self, selector: str, at: tuple[float, float] = (0.5, 0.5)) -> None:
        """Clicks into an element, at a share of its width and height."""
        box = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center', "
            "behavior: 'instant'}); const r = e.getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; })()"
        )
        x, y = box[0] + box[2] * at[0], box[1] + box[3] * at[1]
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def size(self, width: int, height: int, scale: float = 1) -> None:
        """Makes the window so large."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False
        )

    def scheme(self, name: str) -> None:
        """Has the system prefer light or dark."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def picture(self, file: Path) -> None:
        """Takes a picture of what is seen."""
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def heard(self, method: str, params: dict[str, Any]) -> None:
        """Takes an event."""
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"])[:2000])
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(json.dumps(params["args"])[:2000])
        elif method in ("Log.entryAdded", "Audits.issueAdded") and NO_GESTURE not in json.dumps(params):
            self.complaints.append(json.dumps(params)[:2000])


class Browser:
    """The process."""

    def __init__(self, process: subprocess.Popen[bytes], write: int, read: int) -> None:
        self.process, self._write, self._read = process, write, read
        self._numbers, self._rest = itertools.count(1), b""
        self._tabs: dict[str, Tab] = {}

    def call(self, method: str, session: str | None = None, **params: Any) -> Any:
        """A method of the protocol; events that come before its answer go to their tabs."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params, **({"sessionId": session} if session else {})}
        content = json.dumps(message).encode() + b"\0"
        while content:
            content = content[os.write(self._write, content) :]
        while True:
            answer = self._message()
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            if "method" in answer and (tab := self._tabs.get(answer.get("sessionId", ""))):
                tab.heard(answer["method"], answer["params"])

    def tab(self) -> Tab:
        """A new page."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = self._tabs[session] = Tab(self, session)
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            tab.call(f"{domain}.enable")
        return tab

    def _message(self) -> Any:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], HANGS_S)
            part = os.read(self._read, 1 << 20) if ready else b""
            assert part, "chromium went away, or hangs"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)


@contextlib.contextmanager
def started() -> Iterator[Browser]:
    """A headless chromium with a profile of its own."""
    assert PROGRAM, MISSING
    to_read, ours = os.pipe()
    our_read, to_write = os.pipe()
    flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
    flags += ("--disable-background-networking", "--disable-component-update", "--hide-scrollbars")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        words = [PROGRAM, *flags, f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"]

        def wire() -> None:
            # The protocol speaks over 3 and 4; the pipes may have these numbers already.
            high = [os.dup2(to_read, 103), os.dup2(to_write, 104)]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        process = subprocess.Popen(
            words, preexec_fn=wire, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(to_read)
        os.close(to_write)
        try:
            yield Browser(process, ours, our_read)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            os.close(ours)
            os.close(our_read)


def _code(key: str) -> int:
    named = {"Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Tab": 9}
    return named.get(key) or ord(key.upper()[0])
