"""The kinds of value of options about what the server answers by itself."""

from .values import Refused, Seconds, Several, Text


class OwnPath(Text):
    """A path whose requests the server answers by itself; compared with what the client sends, octet for octet."""

    metavar = "PATH"
    accepts = 'a path that starts with "/", as clients send it: without "?" and "#", and with escapes such as %20'

    def read(self, value):
        path = super().read(value)
        if path[:1] != "/" or not path.isascii() or any(character in "?# " for character in path):
            raise Refused
        return path


class Bounds(Several):
    """Upper bounds of a histogram, kept as texts of seconds."""

    MOST = 20  # as in the core

    def __init__(self, longest):
        super().__init__(Seconds(longest), ",", "commas")
        self.accepts = f"at most {self.MOST} times above 0, each longer than the one before, such as 5ms,50ms,1s"

    def read(self, value):
        bounds = super().read(value)
        if not 0 < len(bounds) <= self.MOST or sorted({0.0, *bounds})[1:] != list(bounds):
            raise Refused
        return tuple(f"{bound:.9g}" for bound in bounds)
