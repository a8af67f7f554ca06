"""Chromium over its DevTools pipe: two file descriptors and JSON, so that no driver has to be installed."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # a page that asks anything of the network gets nothing
    "--remote-debugging-pipe",
]
SECONDS = 60.0


class Browser:
    """One headless Chromium with one page; use it in a `with` statement.

    console: what the page wrote to its console, uncaught errors included; requests: what it asked for, but
    for itself and data URIs.
    """

    def __init__(self) -> None:
        self.console: list[str] = []
        self.requests: list[str] = []
        self._number = 0

    def __enter__(self) -> Browser:
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()

        def descriptors() -> None:  # Chromium reads from 3 and writes to 4
            ends = [os.dup(theirs_in), os.dup(theirs_out)]
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        assert CHROMIUM is not None
        self._process = subprocess.Popen(
            [CHROMIUM, *FLAGS, f"--user-data-dir={self._folder.name}", "about:blank"],
            preexec_fn=descriptors,
            pass_fds=(3, 4),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._buffer, self._session = b"", ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        self._session = ""
        try:
            self.call("Browser.close")
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._out)
            os.close(self._in)
            self._folder.cleanup()

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask Chromium, and wait for its answer. AssertionError where it refuses."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            read = os.read(self._in, 1 << 20)
            assert read, "Chromium has ended"
            self._buffer += read
        line, self._buffer = self._buffer.split(b"\0", 1)
        event = json.loads(line)
        params = event.get("params", {})
        match event.get("method"):
            case "Runtime.consoleAPICalled":
                self.console.append(" ".join(str(arg.get("value", arg)) for arg in params["args"]))
            case "Runtime.exceptionThrown":
                self.console.append(json.dumps(params["exceptionDetails"]))
            case "Network.requestWillBeSent":
                if not params["request"]["url"].startswith(("data:", "blob:")):
                    self.requests.append(params["request"]["url"])
        return event

    def look(self, width: int = 1280, height: int = 800, dark: bool = False, scripts: bool = True) -> None:
        """The size of the window, the colour scheme, and whether scripts run."""
        phone = width < 600
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)

    def open(self, page: Path, address: str = "", ready: bool = True) -> None:
        """Open a file; with `ready` wait until its views are drawn."""
        self.call("Page.navigate", url="about:blank")
        self.requests.clear()
        self.call("Page.navigate", url=page.absolute().as_uri() + address)
        self.until(
            "document.documentElement?.dataset.ready === 'yes'"
            if ready
            else "document.readyState === 'complete'"
        )

    def until(self, condition: str) -> None:
        """Wait until an expression is true. AssertionError after a minute."""
        end = time.monotonic() + SECONDS
        while not self.run(condition):
            assert time.monotonic() < end, f"never: {condition}; console: {self.console}"
            time.sleep(0.02)

    def run(self, script: str) -> Any:
        """The value of an expression in the page; promises are waited for."""
        reply = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in reply, reply["exceptionDetails"]
        return reply["result"].get("value")

    def point_at(self, x: float, y: float) -> None:
        """Move the pointer to a place in the window, in CSS pixels from its upper left corner."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def picture(self, path: Path, whole: bool = False) -> None:
        """A screenshot: of the window, or of the whole page."""
        reply = self.call("Page.captureScreenshot", captureBeyondViewport=whole, **self._clip(whole))
        path.write_bytes(base64.b64decode(reply["data"]))

    def _clip(self, whole: bool) -> dict[str, Any]:
        if not whole:
            return {}
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {**size, "scale": 1}}

    def pdf(self) -> bytes:
        """The page on A4 paper."""
        reply = self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=True)
        return base64.b64decode(reply["data"])
