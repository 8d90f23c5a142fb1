"""The kinds of value of options about proxies: who is believed, which fields, and the PROXY protocol."""

from .net_values import TOKEN, Header, field_value
from .values import FLAG_WORDS, Flag, Names, Refused, Several, Text

EVERYBODY, UNIX = "*", "unix:"
LOCAL_PEERS = ("127.0.0.1", "::1", UNIX)

# The order decides which one counts if two say the same thing. Most proxies append to X-Forwarded-For, and pass on what
# their clients send as Forwarded, so that one comes last.
FIELDS = ("x-forwarded-for", "x-real-ip", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "forwarded")
# Nearly all proxies pass it on from clients, who could choose the root path with it.
PREFIX = "x-forwarded-prefix"


class Peer(Text):
    """An address or a network in its usual form, or a name."""

    metavar = "PEER,..."
    accepts = (
        'an address, a network such as 10.0.0.0/8, "unix:" for Unix sockets, a name in X-Forwarded-For, or "*" for all'
    )

    def read(self, value):
        text = super().read(value).strip()
        if not text.isascii():
            raise Refused
        if text in (EVERYBODY, UNIX) or text.startswith((UNIX, "/")):
            return text
        if not text or " " in text or "," in text:
            raise Refused
        address, slash, bits = text.partition("/")
        if address[0] + address[-1] == "[]":
            address = address[1:-1]
        if not slash and not looks_like_address(address):
            return text
        return network(address, bits if slash else None)


def looks_like_address(text):
    return ":" in text or not text.strip("0123456789.")


def network(address, bits):
    """Refused: it is none, or it has bits behind the ones that count."""
    import socket

    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        octets = socket.inet_pton(family, address)
    except OSError:
        raise Refused("it is no address") from None
    shown = socket.inet_ntop(family, octets)
    if bits is None:
        return shown
    most = 8 * len(octets)
    if not bits.isascii() or not bits.isdigit() or len(bits) > 3 or int(bits) > most:
        raise Refused(f"after the slash stands the number of bits, from 0 to {most}")
    behind = most - int(bits)
    first = int.from_bytes(octets, "big") >> behind << behind
    base = socket.inet_ntop(family, first.to_bytes(len(octets), "big"))
    if base != shown:
        raise Refused(f"write {base}/{int(bits)}, or {shown} for this address alone")
    return f"{base}/{int(bits)}"


class FieldNames(Names):
    """Names of fields that proxies set, in any case."""

    def __init__(self):
        super().__init__("field", (*FIELDS, PREFIX))

    def read(self, value):
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, (list, tuple)):
            raise Refused
        return super().read([text.lower() if isinstance(text, str) else text for text in texts])


class SecureField(Header):
    """A field and its value, as text or as a pair."""

    metavar = "'NAME: VALUE'"
    accepts = '"Name: value"'

    def read(self, value):
        name, rest = self.split(value)
        if not name or not TOKEN.issuperset(name):
            raise Refused("the name is not a token (RFC 9110 5.6.2)")
        return f"{name.lower()}: {field_value(rest)}"


class SecureFields(Several):
    """Also a dict, as in gunicorn's settings."""

    def __init__(self):
        super().__init__(SecureField(), "\n", "newlines")

    def read(self, value):
        return super().read(list(value.items()) if isinstance(value, dict) else value)


class ProxyProtocol(Flag):
    """Off, on, or on for one version."""

    accepts = "true or false, or v1 or v2 for one version"
    words = (*FLAG_WORDS, "v1", "v2", "auto")

    def read(self, value):
        word = value.strip().lower() if isinstance(value, str) else value
        if word in ("v1", "v2"):
            return word
        return "on" if word == "auto" or super().read(word) else "off"
