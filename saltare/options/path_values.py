"""The kinds of value of options that have one value for each prefix of a path."""

from .values import Refused, Several, Text

MOST_PREFIXES = 256  # each is compared with the path of each request


class PathValue(Text):
    """A prefix and a value of another kind: "PREFIX=VALUE", or a pair."""

    def __init__(self, kind, example):
        self.kind = kind
        self.metavar = f"PREFIX={kind.metavar}"
        self.accepts = f'"PREFIX=VALUE" such as "{example}", with {kind.accepts}'

    def read(self, value):
        prefix, number = self.split(value)
        prefix = super().read(prefix)
        if not prefix.startswith("/") or "?" in prefix or "#" in prefix:
            raise Refused('a prefix starts with "/", and has no query')
        if "%" in prefix:
            raise Refused("a prefix is written without escapes, as the app sees the path")
        return f"{prefix}={self.kind.read(number)}"

    def split(self, value):
        if isinstance(value, str):
            prefix, equals, number = value.rpartition("=")
            if not equals:
                raise Refused("there is no = in it")
            return prefix.strip(), number.strip()
        if not isinstance(value, (tuple, list)) or len(value) != 2:
            raise Refused
        return value


class ByPath(Several):
    """A value for each prefix; also a dict."""

    def __init__(self, kind, example):
        super().__init__(PathValue(kind, example), ",", "commas")

    def read(self, value):
        found = super().read(list(value.items()) if isinstance(value, dict) else value)
        prefixes = [one.rpartition("=")[0] for one in found]
        for prefix in prefixes:
            if prefixes.count(prefix) > 1:
                raise Refused(f"{prefix} has two values")
        if len(prefixes) > MOST_PREFIXES:
            raise Refused(f"there are {len(prefixes)} prefixes; the limit is {MOST_PREFIXES}")
        return found
