"""An app with a path for each kind of response."""

from echo_app import read_body

ETAG = (b"etag", b'"one"')
HTML = (b"content-type", b"text/html; charset=utf-8")
TEXT = b"<!doctype html><title>A page</title><p>Some text.</p>" * 20
FRESH = (b"cache-control", b"max-age=60")


async def app(scope, receive, send):
    path = scope["path"][1:]
    if path == "error":
        raise RuntimeError("as it is meant to")
    if await read_body(receive) is None:
        return
    status, fields, pieces, extra = ANSWERS[path]
    if ETAG in fields and (b"if-none-match", ETAG[1]) in scope["headers"]:
        status, fields, pieces = 304, [FRESH, ETAG], []
    await send({"type": "http.response.start", "status": status, "headers": [*fields], "trailers": bool(extra)})
    for body in pieces:
        await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body"})
    if extra:
        await send({"type": "http.response.trailers", "headers": extra})


LENGTH = (b"content-length", b"%d" % len(TEXT))
ANSWERS = {  # path: (status, fields, pieces of the body, trailers)
    "length": (200, [HTML, FRESH, ETAG, LENGTH], [TEXT], []),
    "pieces": (200, [HTML, FRESH, LENGTH], [TEXT[:100], b"", TEXT[100:]], []),
    "chunked": (200, [HTML, FRESH], [TEXT, TEXT], []),
    "trailers": (200, [HTML, FRESH, (b"trailer", b"x-sum")], [TEXT], [(b"x-sum", b"1")]),
    "nothing": (200, [HTML, FRESH, (b"content-length", b"0")], [], []),
    "no-content": (204, [FRESH], [], []),
    "reset": (205, [FRESH], [], []),
    "not-modified": (304, [FRESH, ETAG, (b"vary", b"accept-encoding")], [], []),
    "moved": (301, [HTML, FRESH, (b"location", b"/length")], [TEXT], []),
    "not-found": (404, [HTML, FRESH, (b"content-length", b"%d" % len(TEXT))], [TEXT], []),
}
