"""Requests and their responses: following links, and comparing what two servers answered."""

import gzip
import http.client
import re
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from programs import Ask

MOST = 50
SECONDS = 60  # LiteLLM takes 20 to describe its API
FIELDS = (
    *("content-type", "content-encoding", "content-disposition", "content-range", "vary", "location", "cache-control"),
    *("etag", "last-modified", "accept-ranges", "allow", "www-authenticate", "access-control-allow-origin"),
)
LINK = re.compile(rb"""(?:href|src|url)\s*[=(]\s*["']?([^"'\s)>#]+)|["'](\.{0,2}/[\w./@-]+\.(?:m?js|css|json))["']""")
PAGES = ("text/html", "text/css", "text/javascript", "application/javascript")


class Reply(NamedTuple):
    """A response, or, with status 0, why there is none."""

    status: int
    fields: dict[str, str]
    body: bytes

    def plain(self):
        """The body without its content coding; two compressions of the same bytes may differ."""
        return gzip.decompress(self.body) if self.fields.get("content-encoding") == "gzip" else self.body


def ask(port, what):
    """The response to a request of a browser."""
    peer = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    fields = {"Accept": "text/html,*/*;q=0.8", "Accept-Encoding": "gzip", "User-Agent": "crawl", **dict(what.fields)}
    try:
        peer.request(what.method, what.path, what.body or None, fields)
        response = peer.getresponse()
        body = response.read()
        return Reply(response.status, fields_of(response), body)
    except (OSError, http.client.HTTPException) as error:
        return Reply(0, {}, f"{type(error).__name__}: {error}".encode())
    finally:
        peer.close()


def fields_of(response):
    """The fields that matter to a client; of cookies only the names."""
    found = {name: response.headers[name] for name in FIELDS if name in response.headers}
    cookies = sorted(cookie.partition("=")[0] for cookie in response.headers.get_all("set-cookie", ()))
    return found | ({"set-cookie": ", ".join(cookies)} if cookies else {})


def crawl(port, seeds, most=MOST):
    """{request: response} of the seeds, and of what they link to on the same server."""
    waiting, replies = list(seeds), {}
    while waiting and len(replies) < most:
        what = waiting.pop(0)
        replies[what] = reply = ask(port, what)
        known = {*replies, *waiting}
        waiting += [found for found in links(what, reply) if found not in known]
    return replies


def links(what, reply):
    """The requests that a page, a script or a style sheet leads to, in its order."""
    if "location" in reply.fields:
        found = [reply.fields["location"]]
    elif reply.fields.get("content-type", "").startswith(PAGES):
        found = [(a or b).decode("latin-1").replace("&amp;", "&") for a, b in LINK.findall(reply.plain())]
    else:
        found = []
    paths = (urlsplit(urljoin(f"http://here{what.path}", link)) for link in found)
    return dict.fromkeys(
        Ask(url.path + ("?" + url.query if url.query else ""))
        for url in paths
        if url.scheme == "http" and url.hostname in ("here", "127.0.0.1", "localhost") and url.path.isprintable()
    )


def differences(first, second, other):
    """What differs in `other` from what is the same in `first` and `second`, two crawls of one server."""
    said = []
    for what, reply in first.items():
        again, new = second[what], other[what]
        where = f"{what.method} {what.path}"
        if reply.status == again.status != new.status:
            said.append(f"{where}: status {new.status}, not {reply.status}")
        for name in sorted({*reply.fields, *new.fields}):
            wanted, got = reply.fields.get(name), new.fields.get(name)
            if wanted == again.fields.get(name) != got:
                said.append(f"{where}: {name} {got!r}, not {wanted!r}")
        if reply.plain() == again.plain() != new.plain():
            said.append(f"{where}: another body of {len(new.plain())} bytes, not {len(reply.plain())}")
    return said


def stable(first, second):
    """How many responses of two crawls of one server are the same in every part."""
    pairs = [(reply, second[what]) for what, reply in first.items()]
    return sum(reply.fields == again.fields and reply.plain() == again.plain() for reply, again in pairs)
