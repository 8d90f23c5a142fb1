"""The middleware of uvicorn.middleware.proxy_headers, for apps that wrap themselves in it; servers use the core."""

import ipaddress

SCHEMES = ("http", "https", "ws", "wss")


class ProxyHeadersMiddleware:
    """An app whose `client` and `scheme` are those of the request that the proxy received."""

    def __init__(self, app, trusted_hosts="127.0.0.1"):
        self._app, self._trusted = app, Trusted(trusted_hosts)

    def __call__(self, scope, receive, send):
        # Not a coroutine of its own: a request without a proxy costs one look at its client.
        if scope["type"] != "lifespan":
            client = scope.get("client")
            if self._trusted.has(client[0] if client else None):
                self._replace(scope)
        return self._app(scope, receive, send)

    def _replace(self, scope):
        scheme, addresses = None, []
        for name, value in scope["headers"]:
            if name == b"x-forwarded-proto":
                scheme = value.decode("latin-1").strip()
            elif name == b"x-forwarded-for":
                addresses += [one.strip() for one in value.decode("latin-1").split(",")]
        if scheme in SCHEMES:
            scope["scheme"] = scheme.replace("http", "ws") if scope["type"] == "websocket" else scheme
        client = self._trusted.client_of(addresses)
        if client[0]:
            scope["client"] = client


class Trusted:
    """The addresses, networks and other names of trusted proxies; "*" alone means all."""

    def __init__(self, given):
        texts = [text.strip() for text in given.split(",")] if isinstance(given, str) else list(given)
        self._all = texts == ["*"]
        self._names, self._networks = set(), []
        for text in texts:
            try:
                self._networks.append(ipaddress.ip_network(text))
            except ValueError:
                self._names.add(text)
        self._known = {}  # the verdict on the last addresses

    def has(self, host):
        if self._all:
            return True
        if host is None:
            return False
        if len(host) > LONGEST_KNOWN:
            return self._look(host)
        verdict = self._known.get(host)
        if verdict is None:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            verdict = self._known[host] = self._look(host)
        return verdict

    def _look(self, host):
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return host in self._names
        return any(address in network for network in self._networks)

    def client_of(self, addresses):
        """The rightmost address that is not trusted, otherwise the first; ("", 0) if there is none."""
        found = [address_of(text) for text in addresses] or [("", 0)]
        if not self._all:
            for host, port in reversed(found):
                if not self.has(host):
                    return host, port
        return found[0]


MOST_KNOWN = 1024
LONGEST_KNOWN = 253  # characters, as of a DNS name: clients choose what the field holds


def address_of(text):
    """(host, port) of an address as proxies write it; port 0 where there is none."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            return text, 0
        return host, number(rest[1:])
    host, colon, port = text.partition(":")
    if not colon or ":" in port or not number(port):
        return text, 0
    return host, number(port)


def number(text):
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
