"""What a worker of gunicorn puts around the app: gunicorn's access log."""

import time
from datetime import timedelta
from http import HTTPStatus

FILES = ("http.response.pathsend", "http.response.zerocopysend", "saltare.sendfile")  # their size is in the header


class AccessLog:
    """An app whose requests and websockets go to `logger.access`, gunicorn's, once they have ended."""

    def __init__(self, app, logger):
        self._app, self._logger = app, logger

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request, response = Request(scope), Response()
        began = time.monotonic()

        def noted(message):
            response.note(message)
            return send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            lasted = timedelta(seconds=time.monotonic() - began)
            self._logger.access(response, request, request.environ(), lasted)


class Request:
    """What gunicorn's loggers read of a request."""

    def __init__(self, scope):
        self.method = scope.get("method", "GET")
        self.path = scope["path"]
        self.query = scope["query_string"].decode("latin-1")
        raw = (scope.get("raw_path") or b"").decode("latin-1") or self.path
        self.uri = f"{raw}?{self.query}" if self.query else raw
        self.version = scope["http_version"]
        self.headers = [(name.decode("latin-1").upper(), value.decode("latin-1")) for name, value in scope["headers"]]
        self.remote_addr = scope.get("client")

    def environ(self):
        address, port = self.remote_addr or ("-", "")
        fields = {f"HTTP_{name.replace('-', '_')}": value for name, value in self.headers}
        return {
            **fields,
            "REQUEST_METHOD": self.method,
            "RAW_URI": self.uri,
            "PATH_INFO": self.path,
            "QUERY_STRING": self.query,
            "SERVER_PROTOCOL": f"HTTP/{self.version}",
            "REMOTE_ADDR": address,
            "REMOTE_PORT": str(port),
        }


class Response:
    """What gunicorn's loggers read of a response. An app that sends none gets the 500 of the server."""

    def __init__(self):
        self.status_code, self.headers, self.sent = 500, [], 0

    @property
    def status(self):
        try:
            return f"{self.status_code} {HTTPStatus(self.status_code).phrase}"
        except ValueError:
            return f"{self.status_code} -"

    def note(self, message):
        kind = message["type"]
        if kind in ("http.response.start", "websocket.http.response.start"):
            self._start(message)
        elif kind in ("http.response.body", "websocket.http.response.body"):
            self.sent += len(message.get("body", b""))
        elif kind in FILES:
            if kind == "saltare.sendfile":
                self._start(message)
            self.sent = int(next((value for name, value in self.headers if name == "content-length"), self.sent))
        elif kind == "websocket.accept":
            self._start({"status": 101, **message})
        elif kind == "websocket.close" and self.status_code == 500:
            self.status_code = 403

    def _start(self, message):
        self.status_code = message.get("status", 200)
        self.headers = [(decoded(name).lower(), decoded(value)) for name, value in message.get("headers") or ()]


def decoded(text):
    return text.decode("latin-1") if isinstance(text, (bytes, bytearray, memoryview)) else str(text)


# ---- an app with a syntax error ----


def as_asgi(app):
    """Returns the app. With --reload gunicorn replaces an app that has a SyntaxError by a WSGI app that shows the
    error; what is returned then is an ASGI app that does.
    """
    if getattr(app, "__module__", None) != "gunicorn.util":
        return app
    begun = []
    body = b"".join(app({}, lambda status, headers: begun.append((status, headers))))
    ((status, headers),) = begun
    fields = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]

    async def failed(scope, receive, send):
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": int(status.split()[0]), "headers": fields})
            await send({"type": "http.response.body", "body": body})
        elif scope["type"] == "lifespan":
            raise RuntimeError("the app has a syntax error")

    return failed
