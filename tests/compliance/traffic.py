"""Clients that each send a mix of requests on one kept connection, and check every response."""

import random
import threading
from collections import Counter

from rawsocket import Raw
from traffic_app import large

CLIENTS = 16


class Client(threading.Thread):
    """Sends `size` requests to the port. `sent` counts them by path, `done` by kind; `error` is the first failure."""

    def __init__(self, port, size, seed):
        super().__init__(name=f"client {seed}")
        self.port, self.size = port, size
        self.random = random.Random(seed)
        self.sent, self.done = Counter(), Counter()
        self.error = None
        self.raw = None

    def run(self):
        try:
            for number in range(self.size):
                kind = self.random.choices(KINDS, WEIGHTS)[0]
                self.raw = self.raw or Raw(self.port)
                kind(self, f"{self.name.split()[1]}-{number}".encode())
                self.done[kind.__name__] += 1
        except Exception as error:
            self.error = f"{self.name}, request {sum(self.done.values())}: {error!r}"
        finally:
            self.leave()

    def ask(self, kind, token, method="GET", fields=b"", body=b""):
        self.sent[kind] += 1
        head = f"{method} /{kind}/{token.decode()} HTTP/1.1\r\nHost: test\r\n".encode()
        self.raw.send(head + fields + b"\r\n" + body)

    def expect(self, status, body=b"", method="GET"):
        answer = self.raw.read_response(method)
        assert (answer.status, answer.body) == (status, body), (answer.head, answer.body[:100], body[:100])
        if "close" in answer.get("connection", ""):
            self.leave()
        return answer

    def leave(self):
        if self.raw:
            self.raw.close()
            self.raw = None

    def some_bytes(self):
        return self.random.randbytes(self.random.randrange(1, 3000))


def get_small(client, token):
    client.ask("small", token)
    client.expect(200, token)


def get_large(client, token):
    client.ask("large", token)
    client.expect(200, large(token))


def head(client, token):
    client.ask("small", token, "HEAD")
    assert client.expect(200, method="HEAD").get("content-length") == str(len(token))


def no_content(client, token):
    client.ask("nothing", token)
    client.expect(204)


def conditional(client, token):
    known = client.random.random() < 0.5
    client.ask("tagged", token, fields=b'If-None-Match: "%s"\r\n' % (token if known else b"other"))
    answer = client.expect(304) if known else client.expect(200, token)
    assert answer.get("etag") == f'"{token.decode()}"'


def post_length(client, token):
    body = client.some_bytes()
    client.ask("echo", token, "POST", b"Content-Length: %d\r\n" % len(body), body)
    client.expect(200, token + body)


def post_chunked(client, token):
    body = client.some_bytes()
    at = client.random.randrange(len(body))
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (body[:at], body[at:]) if piece)
    client.ask("echo", token, "POST", b"Transfer-Encoding: chunked\r\n", chunks + b"0\r\n\r\n")
    client.expect(200, token + body)


def leave_at_once(client, token):
    client.ask("left", token)
    client.leave()


def leave_in_answer(client, token):
    client.ask("large", token)
    client.raw.read_exactly(1)
    client.leave()


def leave_in_body(client, token):
    client.ask("left", token, "POST", b"Content-Length: 1000\r\n", b"x")
    client.leave()


MIX = {
    get_small: 30,
    get_large: 10,
    head: 10,
    no_content: 10,
    conditional: 12,
    post_length: 12,
    post_chunked: 12,
    leave_at_once: 1,
    leave_in_answer: 2,
    leave_in_body: 1,
}
KINDS, WEIGHTS = list(MIX), list(MIX.values())


def run(port, requests):
    """(requests done by kind, requests sent by path, errors)"""
    clients = [Client(port, requests // CLIENTS, seed) for seed in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    done = sum((client.done for client in clients), Counter())
    sent = sum((client.sent for client in clients), Counter())
    return done, sent, [client.error for client in clients if client.error]
