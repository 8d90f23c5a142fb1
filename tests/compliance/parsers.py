"""Parsers that are libraries, given the same octets: h11, and llhttp through httptools."""

import h11
import httptools


class H11:
    """h11 as a server uses it: each request gets its response before the next is read."""

    def __init__(self):
        self.requests = []
        self.end = None
        self.connection = h11.Connection(h11.SERVER)

    def feed(self, data):
        self.connection.receive_data(data)
        try:
            while self.end is None and self.step():
                pass
        except h11.RemoteProtocolError as error:
            self.end = f"refused {error.error_status_hint}"

    def step(self):
        """Takes one event; False when there is none."""
        event = self.connection.next_event()
        if event is h11.NEED_DATA or event is h11.PAUSED:
            return False
        if isinstance(event, h11.Request):
            self.head, self.body = (event.method.decode(), event.target.decode()), b""
        elif isinstance(event, h11.Data):
            self.body += event.data
        elif isinstance(event, h11.EndOfMessage):
            self.requests.append((*self.head, self.body))
            self.answer()
        return True

    def answer(self):
        self.connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
        if self.connection.our_state is h11.SWITCHED_PROTOCOL:  # a CONNECT: what follows is not HTTP
            self.end = "closes"
            return
        self.connection.send(h11.EndOfMessage())
        if self.connection.our_state is h11.MUST_CLOSE:
            self.end = "closes"
        else:
            self.connection.start_next_cycle()


class Llhttp:
    """llhttp as uvicorn and others use it."""

    def __init__(self):
        self.requests = []
        self.end = None
        self.parser = httptools.HttpRequestParser(self)

    def feed(self, data):
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.end = self.end or "closes"  # the rest belongs to another protocol
        except httptools.HttpParserError:
            self.end = self.end or "refused 400"

    def on_message_begin(self):
        self.target, self.body = b"", b""

    def on_url(self, url):
        self.target += url

    def on_body(self, body):
        self.body += body

    def on_message_complete(self):
        if self.end is None:
            method = self.parser.get_method().decode()
            self.requests.append((method, self.target.decode("latin-1"), self.body))
            if not self.parser.should_keep_alive():
                self.end = "closes"
