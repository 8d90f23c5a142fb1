"""What a page is in a browser: its text, requests, WebSockets and errors, by the DevTools protocol of Chromium."""

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from typing import NamedTuple

SECONDS = 60  # for a page to come to rest, and for an answer of the browser
QUIET = 3  # seconds without a change of the text, a request or an error
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe"),
    *("--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-component-update"),
    *("--window-size=1200,900", "--hide-scrollbars"),
)
# What can be read: text, and what empty fields show.
TEXT = """
[document.body?.innerText ?? '', ...[...document.querySelectorAll('[placeholder], [data-placeholder]')]
 .map(one => one.getAttribute('placeholder') ?? one.dataset.placeholder)].join('\\n').trim()
"""


class Failed(Exception):
    """The browser did not do what it was asked to."""


class Page(NamedTuple):
    """`failed`: requests to the server that failed, and errors of scripts; `websockets`: paths of those that opened."""

    text: str
    requests: int
    failed: tuple[str, ...]
    websockets: tuple[str, ...]


def program():
    """The path of Chromium, or None."""
    return next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )


def look(port, path, screenshot=None):
    """The page, once it has come to rest. `screenshot`: a file for its picture."""
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as folder:
        browser = Browser(folder)
        try:
            return Visit(browser, f"http://127.0.0.1:{port}").of(path, screenshot)
        finally:
            browser.close()


class Browser:
    """Messages of the protocol, each ended by a NUL, through two pipes: descriptors 3 and 4 of the browser."""

    def __init__(self, folder):
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()

        def place():
            """In the child: above both, then onto them, since one may have the other's number."""
            above = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (theirs_in, theirs_out)]
            for fd, one in enumerate(above, 3):
                os.dup2(one, fd)

        self._process = subprocess.Popen(
            [program(), *OPTIONS, f"--user-data-dir={folder}/profile", "about:blank"],
            preexec_fn=place,
            close_fds=False,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": folder},
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._begun, self._number = b"", 0
        self.events = []

    def close(self):
        """Its helpers may outlive it, so all of its process group is killed in the end."""
        with contextlib.suppress(Failed, OSError):
            self.ask("Browser.close")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(SECONDS)
        os.close(self._out)
        os.close(self._in)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def ask(self, method, session=None, **parameters):
        """The result of a command; events that come meanwhile are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        os.write(self._out, json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0")
        deadline = time.monotonic() + SECONDS
        while (left := deadline - time.monotonic()) > 0:
            for answer in self._read(left):
                if answer.get("id") == self._number:
                    if "error" in answer:
                        raise Failed(f"{method}: {answer['error']['message']}")
                    return answer["result"]
        raise Failed(f"{method}: no answer of the browser")

    def listen(self, seconds):
        """Collects events for that time."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._read(left)

    def _read(self, seconds):
        """Answers that have come; events are appended to `events`."""
        if not select.select([self._in], [], [], seconds)[0]:
            return []
        piece = os.read(self._in, 1 << 20)
        if not piece:
            raise Failed("the browser has ended")
        *whole, self._begun = (self._begun + piece).split(b"\0")
        messages = [json.loads(one) for one in whole]
        self.events += [one for one in messages if "method" in one]
        return [one for one in messages if "id" in one]


class Visit:
    """A page of one server; requests to others are not counted, since there may be no way to them."""

    def __init__(self, browser, origin):
        self._browser, self._origin = browser, origin
        self._requests, self._failed, self._websockets = {}, [], {}
        self._opened = []

    def of(self, path, screenshot):
        target = self._browser.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._browser.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Network", "Runtime", "Page"):
            self._browser.ask(f"{domain}.enable", self._session)
        self._browser.ask("Page.navigate", self._session, url=self._origin + path)
        text = self._rest()
        if screenshot:
            picture = self._browser.ask("Page.captureScreenshot", self._session, format="png")
            with open(screenshot, "wb") as file:
                file.write(base64.b64decode(picture["data"]))
        return Page(text, len(self._requests), tuple(sorted(set(self._failed))), tuple(sorted(set(self._opened))))

    def _rest(self):
        """The text, once there is some, and nothing has changed for QUIET seconds."""
        began = since = time.monotonic()
        seen = None
        while time.monotonic() - began < SECONDS and time.monotonic() - since < QUIET:
            self._browser.listen(0.3)
            self._take_events()
            found = self._browser.ask("Runtime.evaluate", self._session, expression=TEXT)["result"].get("value", "")
            now = (found, len(self._requests), len(self._failed), len(self._opened))
            if now != seen or not found:
                seen, since = now, time.monotonic()
        return seen[0]

    def _take_events(self):
        events, self._browser.events = self._browser.events, []
        for event in events:
            if take := getattr(self, "_" + event["method"].replace(".", "_"), None):
                take(event["params"])

    def _path(self, url):
        for origin in (self._origin, self._origin.replace("http:", "ws:")):
            if url.startswith(f"{origin}/"):
                return url.removeprefix(origin).partition("?")[0]
        return None

    def _Network_requestWillBeSent(self, event):
        if path := self._path(event["request"]["url"]):
            self._requests[event["requestId"]] = f"{event['request']['method']} {path}"

    def _Network_responseReceived(self, event):
        what, status = self._requests.get(event["requestId"]), event["response"]["status"]
        if what and status >= 400:
            self._failed.append(f"{what}: status {status}")

    def _Network_loadingFailed(self, event):
        what = self._requests.get(event["requestId"])
        if what and not event.get("canceled"):
            self._failed.append(f"{what}: {event['errorText']}")

    def _Runtime_exceptionThrown(self, event):
        details = event["exceptionDetails"]
        text = details.get("exception", {}).get("description") or details["text"]
        self._failed.append(f"script: {text.splitlines()[0][:120]}")

    def _Network_webSocketCreated(self, event):
        self._websockets[event["requestId"]] = self._path(event["url"])

    def _Network_webSocketHandshakeResponseReceived(self, event):
        path = self._websockets.get(event["requestId"])
        if path and event["response"]["status"] == 101:
            self._opened.append(path)

    def _Network_webSocketFrameError(self, event):
        if path := self._websockets.get(event["requestId"]):
            self._failed.append(f"websocket {path}: {event['errorMessage']}")


def differences(first, second, other):
    """What differs in `other` from what is the same in `first` and `second`, two visits to one server."""
    said = []
    if first.text == second.text != other.text:
        said.append(f"page: another text: {other.text[:80]!r}, not {first.text[:80]!r}")
    known = {*first.failed, *second.failed}
    said += [f"page: {one}" for one in other.failed if one not in known]
    for path in sorted({*first.websockets} & {*second.websockets} - {*other.websockets}):
        said.append(f"page: no websocket at {path}")
    return said
