"""The kinds of value for addresses and header fields, and the parser of addresses."""

from .values import FLAG_WORDS, Integer, Path, Refused, Text

# RFC 9110 5.6.2.
TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
FRAMING = ("connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade")
OTHERS = ("content-type", "cookie", "host", "location", "set-cookie", "traceparent", "tracestate")
OURS = {"date": "date-header", "server": "server-header"}

ANY = "0.0.0.0"
DEFAULT_PORT = 8000
PORT = Integer(0, 65535)
FD = Integer(0, 1 << 20)


class Host(Text):
    metavar = "HOST"
    accepts = "a name, an IPv4 or an IPv6 address"

    def read(self, value):
        text = super().read(value)
        check_no_scheme(text)
        host = text[1:-1] if text[:1] == "[" and text[-1:] == "]" else text
        if host.count(":") == 1:
            raise Refused("a port goes into --port, or use --bind HOST:PORT")
        if not host or any(character in "/[] " for character in host):
            raise Refused
        return host


class Address(Text):
    """An address to listen on, kept as text; `address` parses it."""

    metavar = "ADDRESS"
    accepts = '"host:port", "[v6]:port", ":port", "host" (for port 8000), "unix:/path" or "fd://N"'

    def read(self, value):
        text = super().read(value)
        address(text)
        return text


class Header(Text):
    """A field of every response, as text or as a pair; rejects the server's own fields."""

    metavar = "'NAME: VALUE'"
    accepts = '"Name: value"'

    def read(self, value):
        name, value = self.split(value)
        if not name or not TOKEN.issuperset(name):
            raise Refused("the name is not a token (RFC 9110 5.6.2)")
        if name.lower() in OURS:
            raise Refused(f"{name} is the server's own, see --{OURS[name.lower()]}")
        if name.lower() in FRAMING:
            raise Refused(f"the server decides {name} for each response")
        return f"{name}: {field_value(value)}"

    @staticmethod
    def split(value):
        if isinstance(value, str):
            name, colon, rest = value.partition(":")
            if not colon:
                raise Refused
            return name, rest
        if not isinstance(value, (tuple, list)) or len(value) != 2:
            raise Refused
        name, rest = (part.decode("latin-1") if isinstance(part, bytes) else part for part in value)
        if not isinstance(name, str) or not isinstance(rest, str):
            raise Refused
        return name, rest


class RequestIdHeader(Text):
    """The name of the field with a request's id."""

    metavar = "NAME"
    accepts = "the name of a header field, such as X-Request-ID"

    def read(self, value):
        name = super().read(value)
        if ":" in name:
            raise Refused("the name alone, without a colon and a value")
        if not name or not TOKEN.issuperset(name):
            raise Refused("the name is not a token (RFC 9110 5.6.2)")
        if name.lower() in (*OURS, *FRAMING, *OTHERS):
            raise Refused(f"{name} has a meaning of its own")
        return name


class ServerHeader(Text):
    """The value of `Server`; false or an empty text omits the field, true is the default."""

    accepts = "a header value, or nothing to omit it"

    def __init__(self, default):
        self.default = default

    def read(self, value):
        flag = FLAG_WORDS.get(value.lower()) if isinstance(value, str) else value
        if isinstance(flag, bool):
            return self.default if flag else ""
        return field_value(super().read(value))


def address(text):
    """("tcp", host, port), ("unix", path) or ("fd", number) of an address to listen on; Refused if invalid."""
    if text.startswith("unix:"):
        path = text[5:]
        return "unix", Path().read(path[2:] if path.startswith("//") else path)
    if text.startswith("fd://"):
        return "fd", FD.read(text[5:])
    text = text.removeprefix("tcp://")
    check_no_scheme(text)
    host, port = host_and_port(text)
    return "tcp", Host().read(host or ANY), PORT.read(port)


def check_no_scheme(text):
    scheme, slashes, _ = text.partition("://")
    if slashes:
        raise Refused(f"a name or an address, without {scheme}://")


def host_and_port(text):
    """As gunicorn and hypercorn read them: ":8000" is every IPv4 address, "host" has the port that is the default."""
    if text[:1] == "[" and text[-1:] == "]":
        return text, DEFAULT_PORT
    host, colon, port = text.rpartition(":")
    if not colon:
        if not port or port.isdigit():
            raise Refused("a port alone is written :8000" if port else "")
        return port, DEFAULT_PORT
    if ":" in host and host[:1] + host[-1:] != "[]":
        raise Refused("an IPv6 address goes into brackets, as in [::1]:8000")
    return host, port


def field_value(text):
    """A header field's value without surrounding white space; Refused if it cannot be sent unchanged."""
    value = text.strip(" \t")
    if any((character < " " and character != "\t") or character == "\x7f" for character in value):
        raise Refused("it contains a control character")
    if any(character > "\xff" for character in value):
        raise Refused("it contains a character outside latin-1")
    return value
