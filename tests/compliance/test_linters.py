"""How REDbot and httplint, independent judges of HTTP messages, rate the responses."""

import json
import subprocess
import sys
import time
from email.utils import formatdate
from pathlib import Path
from typing import NamedTuple

import pytest

if sys.version_info < (3, 11):
    pytest.skip("REDbot and httplint need Python 3.11", allow_module_level=True)
from httplint import HttpRequestLinter, HttpResponseLinter, levels
from thor.http.common import Delimiters, HttpMessageHandler, States, no_body_status

from answers_app import ANSWERS, app
from harness import HANG


class Judge(HttpMessageHandler):
    """thor, REDbot's parser, reads responses to the methods; `judged` has a linter for each final response.

    `fields` are those of the requests. `errors` are framing errors.
    """

    default_state = States.WAITING

    def __init__(self, methods, fields=()):
        self.methods = list(methods)
        self.fields = fields
        self.judged, self.errors, self.interim = [], [], []
        super().__init__()

    def read(self, data):
        """Everything that a connection sent before it closed."""
        self.handle_input(data)
        if self._input_state is States.HEADERS_DONE and self._input_delimit is Delimiters.CLOSE:
            self.input_end([])
        elif self._input_state is not States.WAITING or self._input_buffer:
            self.errors.append("closed within a message")
        return self

    def complaints(self):
        notes = (note for linter in self.judged + self.interim for note in linter.notes)
        bad = {type(note).__name__ for note in notes if note.level in (levels.BAD, levels.WARN)}
        return self.errors + sorted(bad - ACCEPTED.keys())

    def input_start(self, top_line, hdr_tuples, conn_tokens, transfer_codes, content_length):
        version, status, phrase = [*top_line.split(b" ", 2), b""][:3]
        final = not status.startswith(b"1")
        method = self.methods.pop(0) if final else self.methods[0]
        self.linter = HttpResponseLinter(start_time=time.time())
        self.linter.request = asked(method, self.fields)
        self.linter.is_head_response = method == "HEAD"
        self.linter.process_response_topline(version.removeprefix(b"HTTP/"), status, phrase)
        self.linter.process_headers(hdr_tuples)
        (self.judged if final else self.interim).append(self.linter)
        return final and method != "HEAD" and status not in no_body_status, final

    def input_body(self, chunk):
        self.linter.feed_content(chunk)

    def input_end(self, trailers):
        self.linter.finish_content(True, trailers)

    def input_error(self, err, close=True):
        self.errors.append(f"{err.desc}: {err.detail}")

    def output(self, data):
        raise AssertionError("it only reads")

    def output_done(self):
        raise AssertionError("it only reads")


def asked(method, fields):
    linter = HttpRequestLinter()
    linter.process_request_topline(method.encode(), b"http://test/", b"1.1")
    linter.process_headers(list(fields))
    linter.finish_content(True)
    return linter


class Case(NamedTuple):
    """What is sent, its methods, the statuses expected, and request fields that the judge has to know."""

    data: bytes
    methods: list
    statuses: list
    fields: tuple = ()


def get(path, method="GET", version="1.1", fields=""):
    return f"{method} /{path} HTTP/{version}\r\nHost: test\r\n{fields}\r\n".encode()


def one(status, data, method="GET"):
    return Case(data, [method], [status])


POST = "Content-Length: 5\r\n"
CLOSE = "Connection: close\r\n"
CASES = {
    **{path: one(answer[0], get(path, fields=CLOSE)) for path, answer in ANSWERS.items()},
    **{f"HEAD {path}": one(ANSWERS[path][0], get(path, "HEAD", fields=CLOSE), "HEAD") for path in ANSWERS},
    **{
        f"HTTP/1.0 {path}": one(ANSWERS[path][0], get(path, version="1.0"))
        for path in ("length", "chunked", "no-content")
    },
    "HTTP/1.0 kept": Case(
        get("length", version="1.0", fields="Connection: keep-alive\r\n") + get("length", version="1.0"),
        ["GET"] * 2,
        [200] * 2,
    ),
    "pipelined": Case(
        b"".join(get(path) for path in ANSWERS) + get("length", fields=CLOSE),
        ["GET"] * (len(ANSWERS) + 1),
        [*(answer[0] for answer in ANSWERS.values()), 200],
    ),
    "error": one(500, get("error", fields=CLOSE)),
    "400": one(400, b"GET / HTTP/1.1\r\n\r\n"),
    "408": one(408, b"GET / HTTP/1.1\r\n"),
    "408 body": one(408, get("length", "POST", fields=POST), "POST"),
    "413": one(413, get("length", "POST", fields="Content-Length: 9999999\r\n"), "POST"),
    "414": one(414, get("a" * 17000)),
    "417": Case(
        get("length", "POST", fields=POST + "Expect: miracles\r\n"), ["POST"], [417], ((b"Expect", b"miracles"),)
    ),
    "100": Case(
        get("length", "POST", fields=POST + CLOSE + "Expect: 100-continue\r\n"),
        ["POST"],
        [200],
        ((b"Expect", b"100-continue"),),
    ),
    "431": one(431, get("length", fields=f"A: {'a' * 70000}\r\n")),
    "501": one(501, get("length", "POST", fields="Transfer-Encoding: gzip, chunked\r\n"), "POST"),
    "501 CONNECT": one(501, b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", "CONNECT"),
    "505": one(505, get("length", version="2.0")),
}
ACCEPTED = {  # httplint warnings that are accepted, and why they are no fault of the server
    "STATUS_BAD_REQUEST": "a status that blames the client",
    "STATUS_URI_TOO_LONG": "a status that blames the client",
    "STATUS_VERSION_NOT_SUPPORTED": "a status that blames the client",
}


@pytest.fixture(scope="module")
def server(module_serve):
    return module_serve(
        app, lifespan="off", header_timeout=0.5, body_timeout=0.5, max_request_body=5000, log_level="critical"
    )


@pytest.mark.parametrize("name", CASES)
def test_httplint(server, raw, name):
    case = CASES[name]
    client = raw(server).send(case.data)
    data = b""
    if name == "100":
        data = client.read_until(b"\r\n\r\n")
        client.send(b"hello")
    data += client.read_all()
    judge = Judge(case.methods, case.fields).read(data)
    assert [linter.status_code for linter in judge.judged] == case.statuses
    assert [linter.status_code for linter in judge.interim] == ([100] if name == "100" else [])
    assert not judge.complaints(), data[:1000]


@pytest.mark.parametrize("path", ANSWERS)
def test_redbot(server, path):
    """REDbot sends its own requests, repeats them where there is an ETag, and judges the responses."""
    redbot = Path(sys.executable).with_name("redbot")
    command = [redbot, "-o", "har", f"{server.url}/{path}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * HANG, check=True)
    entries = json.loads(done.stdout)["log"]["entries"]
    assert [entry["response"]["status"] for entry in entries] == [ANSWERS[path][0]]
    notes = {note["note_id"]: note for entry in entries for note in entry["_red_messages"]}
    assert "DATE_CORRECT" in notes
    assert ("INM_304" in notes) == (path == "length")
    bad = {name: note["summary"] for name, note in notes.items() if note["level"] in ("BAD", "WARN")}
    assert not bad


FAULTS = {
    "too little": (b"Content-Length: 5\r\n\r\nhell", "closed within a message"),
    "too much": (b"Content-Length: 5\r\n\r\nhello!", "closed within a message"),
    "no last chunk": (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "closed within a message"),
    "two framings": (
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "Both Transfer-Encoding and Content-Length present: None",
    ),
    "a bad name": (b"A B: c\r\nContent-Length: 0\r\n\r\n", "Invalid header field-name: A B"),
    "two dates": (b"Date: Sat, 01 Jan 2022 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n", "SINGLE_HEADER_REPEAT"),
    "an unwanted coding": (b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "TRANSFER_CODING_UNWANTED"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_judge_finds_faults(fault):
    rest, complaint = FAULTS[fault]
    answer = f"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nDate: {formatdate(usegmt=True)}\r\n".encode()
    assert not Judge(["GET"]).read(answer + b"Content-Length: 0\r\n\r\n").complaints()
    assert complaint in Judge(["GET"]).read(answer + rest).complaints()
