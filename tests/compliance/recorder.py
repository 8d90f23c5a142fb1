"""The origin behind a proxy: it reads the forwarded request, and responds with what it saw."""

import contextlib
import socketserver
import threading

from messages import Incomplete, Unread


class Recorder(socketserver.StreamRequestHandler):
    """Reads one request at a time. Marks one that declares its framing twice: no proxy may forward that."""

    def handle(self):
        received = b""
        with contextlib.suppress(ConnectionError):
            while piece := self.request.recv(65536):
                received = self.answer_all(received + piece)

    def answer_all(self, received):
        while received:
            unread = Unread(received)
            try:
                head = unread.head()
                body = unread.body(head) or b""
            except Incomplete:
                break
            framing = head.all("content-length") + head.all("transfer-encoding")
            seen = head.start if len(framing) < 2 else "AMBIGUOUS " + " ".join(framing)
            fields = f"HTTP/1.1 200 OK\r\nSeen: {seen}\r\nContent-Length: {len(body)}\r\n\r\n"
            self.request.sendall(fields.encode("latin-1") + (b"" if seen.startswith("HEAD ") else body))
            received = unread.data
        return received


class Origin(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 1024


@contextlib.contextmanager
def origin():
    """The port of a recorder in threads of this process."""
    with Origin(("127.0.0.1", 0), Recorder) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
