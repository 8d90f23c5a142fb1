"""The app behind the proxies: responses of every framing, made from their requests, and counts by sender."""

from collections import Counter

from echo_app import read_body

LARGE = 100_000
HUGE = 2_000_000  # more than the kernel buffers
PIECE = 25_000
COUNT = Counter()
PEERS = set()


def large(token):
    """The body of /large/TOKEN."""
    return (token * (LARGE // len(token) + 1))[:LARGE]


async def app(scope, receive, send):
    kind, _, token = scope["path"][1:].partition("/")
    body = await read_body(receive)
    if body is None:
        return
    COUNT[kind] += 1
    PEERS.add(scope["client"])
    status, fields, pieces = ANSWERS[kind](token.encode(), body, dict(scope["headers"]))
    await send({"type": "http.response.start", "status": status, "headers": fields})
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body"})


def with_length(body):
    return 200, [(b"content-length", b"%d" % len(body))], [body]


def in_chunks(token, body, headers):
    whole = large(token)
    return 200, [], [whole[at : at + PIECE] for at in range(0, LARGE, PIECE)]


def conditional(token, body, headers):
    tag = b'"%s"' % token
    if headers.get(b"if-none-match") == tag:
        return 304, [(b"etag", tag)], []
    return 200, [(b"etag", tag), (b"content-length", b"%d" % len(token))], [token]


ANSWERS = {
    "small": lambda token, body, headers: with_length(token),
    "large": in_chunks,
    "huge": lambda token, body, headers: with_length(bytes(HUGE)),
    "echo": lambda token, body, headers: with_length(token + body),
    "left": in_chunks,  # for a peer that has left
    "nothing": lambda token, body, headers: (204, [], []),
    "tagged": conditional,
    "count": lambda token, body, headers: with_length(repr((dict(COUNT), len(PEERS))).encode()),
}
