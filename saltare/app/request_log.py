"""Records of requests for the loggers `saltare.access` and `uvicorn.access`, where one was asked for.

A record costs Python's time for each request, so an app is wrapped only if a configuration or a program names the
logger.
"""

import logging
from urllib.parse import quote

FORMAT = '%s - "%s %s HTTP/%s" %d'  # uvicorn's, with the five arguments that filters and formatters read


def wrapped(app, name):
    """The app whose requests are logged by the logger of that name; idempotent."""
    return app if isinstance(app, RequestLog) else RequestLog(app, name)


class RequestLog:
    """An app whose requests are logged, each once its response starts."""

    def __init__(self, app, name):
        self._app, self._logger = app, logging.getLogger(name)

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0

        def logged(message):
            nonlocal status
            if not status and message["type"] in ("http.response.start", "saltare.sendfile"):
                status = message.get("status", 200)
                self._log(scope, status)
            return send(message)

        try:
            await self._app(scope, receive, logged)
        except Exception:
            if not status:
                self._log(scope, 500)
            raise
        if not status:
            self._log(scope, 500)

    def _log(self, scope, status):
        self._logger.info(
            FORMAT, client_of(scope), scope["method"], path_with_query(scope), scope["http_version"], status
        )


def client_of(scope):
    """The client as "host:port", or "" where it has no address."""
    client = scope.get("client")
    return f"{client[0]}:{client[1]}" if client else ""


def path_with_query(scope):
    path = quote(scope["path"])
    return f"{path}?{scope['query_string'].decode('ascii', 'backslashreplace')}" if scope["query_string"] else path
