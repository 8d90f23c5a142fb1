"""How each peer reads each case of the corpus: which requests it accepts, and how the case ends.

A reading is the accepted requests, each as (method, target, body), followed by one of

    refused STATUS   the server itself responded with 400 or more
    dropped          closed without such a response, although nothing had announced the close
    closes           closed, as the last response announced
    ready            another request on the same connection is read as a request
    wants more       such a request is swallowed: the last request of the case has not ended

To tell the last two apart, AFTER is sent once nobody sends any more. Request smuggling works the same way.
"""

import contextlib
import re
import resource
import selectors
import socket
import time
from pathlib import Path
from typing import NamedTuple

import echo_app
import programs
from cases_desync import CASES
from harness import HANG, starter
from messages import answers
from parsers import H11, Llhttp
from recorder import origin

CORPUS = Path(__file__).parent.parent / "corpus"
AFTER = b"GET /after HTTP/1.1\r\nHost: after\r\n\r\n"
AFTER_SEEN = ("GET", "/after", b"")
QUIET = 1  # seconds without a byte from any peer
LEFT_OUT = {
    "200-upgrade-websocket": "who speaks WebSocket leaves HTTP here; who does not, answers",
}
UNSTABLE = {  # in one run refused with 400, in the next forwarded
    ("haproxy", "400-chunk-trailer-space-before-colon"),
}
PATIENCE = {"header_timeout": 300, "body_timeout": 300, "keep_alive_timeout": 300, "max_request_body": 0}


class Reading(NamedTuple):
    requests: tuple
    end: str

    @property
    def refuses(self):
        return self.end == "dropped" or self.end.startswith("refused")

    @property
    def wants_more(self):
        return self.end == "wants more"

    def means(self, other):
        """Compares the requests and the kind of end; ignores which status refuses and who closes when."""
        mine, its = (self.requests, self.refuses, self.wants_more), (other.requests, other.refuses, other.wants_more)
        return mine == its


def corpus():
    """{case: its octets} of the corpus and of cases_desync.py, except excluded cases."""
    cases = {path.stem: path.read_bytes() for path in sorted(CORPUS.glob("*.http"))} | CASES
    return {name: data for name, data in cases.items() if name not in LEFT_OUT}


def read_by(parser, data):
    parser.feed(data)
    requests = tuple(parser.requests)
    if parser.end is None:
        parser.feed(AFTER)
        parser.end = "ready" if tuple(parser.requests) == (*requests, AFTER_SEEN) else "wants more"
    return Reading(tuple(map(plain, requests)), parser.end)


class Client:
    """One connection that sends a case to a peer, then waits."""

    def __init__(self, port, data):
        self.socket = socket.create_connection(("127.0.0.1", port), HANG)
        self.name = "{}:{}".format(*self.socket.getsockname())
        self.received = b""
        self.open = True
        self.old = b" HTTP/1.0\r\n" in data
        self.send(data)
        self.socket.setblocking(False)

    def send(self, data):
        with contextlib.suppress(ConnectionError):  # the peer may refuse before everything is sent
            self.socket.sendall(data)

    def receive(self):
        try:
            piece = self.socket.recv(65536)
        except ConnectionError:
            piece = b""
        self.received += piece
        if not piece:
            self.open = False
            self.socket.close()

    def said(self):
        """(accepted requests, the end so far or None); HTTP/1.0 needs no announcement of a close"""
        requests, last = [], None
        for last in answers(self.received):
            if last.status >= 400:
                return tuple(requests), f"refused {last.status}"
            method, target = [*last.get("seen").split(" "), "", ""][:2]
            requests.append((method, target, last.body))
        if self.open:
            return tuple(requests), None
        announced = last and (self.old or "close" in last.get("connection").lower())
        return tuple(requests), "closes" if announced else "dropped"


def listen(clients, ports):
    """Reads until all peers have sent everything.

    That is when nothing came for a while, each peer then responded to another client, and still nothing came.
    """
    with selectors.DefaultSelector() as selector:
        for client in clients:
            if client.open:
                selector.register(client.socket, selectors.EVENT_READ, client)
        deadline = time.monotonic() + 3 * HANG
        take(selector, QUIET)
        while all(answers_another(port) for port in ports) and take(selector, 0):
            assert time.monotonic() < deadline, "somebody never stops to answer"
            take(selector, QUIET)


def take(selector, timeout):
    """Receives until nothing comes for `timeout` seconds; returns whether anything came."""
    came = False
    while selector.get_map() and (events := selector.select(timeout)):
        came = True
        for key, _ in events:
            open_socket = key.fileobj
            key.data.receive()
            if not key.data.open:
                selector.unregister(open_socket)
    return came


def answers_another(port):
    with socket.create_connection(("127.0.0.1", port), HANG) as another:
        another.sendall(AFTER)
        return another.recv(65536)


def read_by_servers(ports, cases):
    """{peer: {case: Reading}}, and the name of each client's socket as {peer: {case: "address:port"}}."""
    clients = {(peer, case): Client(port, data) for peer, port in ports.items() for case, data in cases.items()}
    try:
        listen(clients.values(), ports.values())
        before = {key: client.said() for key, client in clients.items()}
        for key, client in clients.items():
            if before[key][1] is None:
                client.send(AFTER)
        listen(clients.values(), ports.values())
        readings, names = {}, {}
        for (peer, case), client in clients.items():
            requests, end = before[peer, case]
            if end is None:
                end = "ready" if client.said()[0] == (*requests, AFTER_SEEN) else "wants more"
            readings.setdefault(peer, {})[case] = Reading(tuple(map(plain, requests)), end)
            names.setdefault(peer, {})[case] = client.name
    finally:
        for client in clients.values():
            client.socket.close()
    return readings, names


def plain(request):
    """The target in a common form: some peers omit the authority of an absolute target, some an empty query's "?".

    The response to a HEAD cannot carry the body.
    """
    method, target, body = request
    path = re.sub(r"^https?://[^/?]+", "", target, flags=re.IGNORECASE)
    if path != target and not path.startswith("/"):
        path = "/" + path
    return method, path.removesuffix("?"), b"" if method == "HEAD" else body


@contextlib.contextmanager
def many_sockets():
    """Raises the limit of descriptors to thousands meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def read_by_parsers(cases):
    """{peer: {case: Reading}} of the peers that are libraries."""
    parsers = {"h11": H11, "llhttp": Llhttp}
    return {peer: {case: read_by(parser(), data) for case, data in cases.items()} for peer, parser in parsers.items()}


@contextlib.contextmanager
def serving():
    with starter() as start:
        yield start(echo_app.app, lifespan="off", log_level="debug", **PATIENCE)


def everybody(folder):
    """({peer: {case: Reading}}, {case: the words with which saltare refused it})"""
    cases = corpus()
    with contextlib.ExitStack() as stack:
        stack.enter_context(many_sockets())
        saltare = stack.enter_context(serving())
        behind = f"127.0.0.1:{stack.enter_context(origin())}"
        ports = {
            "saltare": saltare.port,
            "nginx": stack.enter_context(programs.nginx_origin(folder / "nginx")),
            "nginx proxy": stack.enter_context(programs.nginx_proxy(folder / "nginx-proxy", behind)),
            "haproxy": stack.enter_context(programs.haproxy(folder / "haproxy", behind)),
            "hyper": stack.enter_context(programs.granian(folder / "granian")),
        }
        readings, names = read_by_servers(ports, cases)
        logs = saltare.logs()
    readings |= read_by_parsers(cases)
    for peer, case in UNSTABLE:
        del readings[peer][case]
    said = dict(re.findall(r"(127\.0\.0\.1:\d+): (.*); answered \d+ while", logs))
    return readings, {case: said[name] for case, name in names["saltare"].items() if name in said}


def saltare_and_parsers():
    """{peer: {case: Reading}} without the peers that are programs."""
    cases = corpus()
    with many_sockets(), serving() as saltare:
        readings, _ = read_by_servers({"saltare": saltare.port}, cases)
    return readings | read_by_parsers(cases)
