"""--startup-request: sends the app one GET / of our own, so that its first user does not wait."""

from .. import log
from .scope import template


async def warm_up(config, state):
    """Runs the app once and discards its response; errors are logged and ignored."""
    given = False

    async def receive():
        nonlocal given
        message = {"type": "http.disconnect"} if given else {"type": "http.request", "body": b"", "more_body": False}
        given = True
        return message

    async def send(message):
        pass

    scope = template(config)
    scope.update(
        method="GET",
        path=config.root_path + "/",
        raw_path=b"/",
        query_string=b"",
        headers=[(b"host", b"localhost"), (b"user-agent", b"saltare")],
        server=("localhost", 80),
        client=("127.0.0.1", 0),
        state=dict(state),
    )
    try:
        await config.app(scope, receive, send)
    except Exception as error:
        log.warning("the start-up request failed", error)
