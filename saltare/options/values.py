"""The kinds of value of options, each read from text or from a Python object."""

import os

FLAG_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
SIZE_UNITS = {"": 1, "b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
TIME_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
OTHER_LEVELS = {
    "warn": "warning",
    "trace": "debug",
    "fatal": "critical",
    "notset": "debug",
    "50": "critical",
    "40": "error",
    "30": "warning",
    "20": "info",
    "10": "debug",
    "5": "debug",
    "0": "debug",
}


class Refused(Exception):
    """A value is not of the kind; the text, if any, adds to the kind's `accepts`."""


class Text:
    """Any text without control characters."""

    many = False
    metavar = "TEXT"
    accepts = "text"

    def read(self, value):
        if not isinstance(value, str):
            raise Refused
        if not value.isprintable():
            raise Refused("it contains a control character")
        return value


class Path(Text):
    metavar = "PATH"
    accepts = "a path"

    def read(self, value):
        path = os.fspath(value) if isinstance(value, os.PathLike) else value
        if not isinstance(path, str) or not path or "\0" in path:
            raise Refused
        return path


class LogConfig(Path):
    """A file whose extension gives its format; in programs also a dict, an open file or a RawConfigParser."""

    accepts = "a path (.json, .toml and .yaml for dictConfig, any other file for fileConfig), or a dict in a program"

    def read(self, value):
        if isinstance(value, dict) or hasattr(value, "readline") or hasattr(value, "sections"):
            return value
        return super().read(value)


class Choice(Text):
    def __init__(self, *words):
        self.words = words
        self.metavar = "|".join(words)
        self.accepts = one_of(words)

    def read(self, value):
        word = value.lower() if isinstance(value, str) else value
        if word not in self.words:
            raise Refused
        return word


class Version(Choice):
    """A choice that TOML and Python also spell as a number."""

    def read(self, value):
        return super().read(str(value) if isinstance(value, float) else value)


class LogLevel(Choice):
    """A level by its name, that of other servers or of logging, or by logging's number."""

    def __init__(self):
        super().__init__("critical", "error", "warning", "info", "debug")

    def read(self, value):
        word = str(value).strip().lower() if isinstance(value, (str, int)) and not isinstance(value, bool) else value
        return super().read(OTHER_LEVELS.get(word, word))


class Target(Text):
    """ "module:attribute", dots allowed on both sides, or one of `words`."""

    metavar = "MODULE:ATTRIBUTE"

    def __init__(self, *words):
        self.words = words
        self.accepts = one_of((*words, "module:attribute"))

    def read(self, value):
        text = super().read(value)
        module, colon, attribute = text.partition(":")
        if text in self.words or (module and attribute and ":" not in attribute):
            return self.checked(text)
        raise Refused("" if colon else "there is no colon in it")

    def checked(self, text):
        return text


class Loop(Target):
    def read(self, value):
        # uvicorn's "none" leaves the choice of a loop to asyncio, as auto does here.
        return super().read("auto" if value == "none" else value)


APP_ACCEPTS = "module:attribute, such as main:app, or a path, such as main.py"


class App(Target):
    """A target, a path (see app_path.py) or the app itself. A target may end in "()", for a factory, or in ":", where
    the attribute is to be found.
    """

    metavar = "MODULE:ATTRIBUTE|PATH"

    def __init__(self):
        super().__init__()
        self.accepts = APP_ACCEPTS

    def read(self, value):
        if callable(value):
            return value
        text = Text.read(self, os.fspath(value) if isinstance(value, os.PathLike) else value)
        path, name = split_path(text)
        if path is None:
            searched = text.find(":") == len(text) - 1 > 0
            return text if searched else super().read(text)
        if name:
            super().read(f"module:{name}")
        return text

    def checked(self, text):
        if "(" in text and not text.endswith("()"):
            raise Refused("a factory is called without arguments; write module:factory()")
        return text


def split_path(text):
    """The path and the name of the app in that file, perhaps empty; None and "": the text is "module:attribute"."""
    before, colon, after = text.rpartition(":")
    if not colon or "/" in after:
        return text, ""
    return (before, after) if "/" in before or before.endswith(".py") else (None, "")


def shown_app(target, what=""):
    """For people: a target without an attribute is the module in which the app is looked for."""
    return f"the app in {target[:-1]}" if target[-1:] == ":" else f"{what}{target}"


class RootPath(Text):
    accepts = 'nothing, or a path that starts with "/"'

    def read(self, value):
        path = super().read(value).rstrip("/")
        if path and (path[0] != "/" or "?" in path or "#" in path):
            raise Refused
        return path


class OwnPath(Text):
    """A path whose requests the server answers by itself; compared with what the client sends, octet for octet."""

    metavar = "PATH"
    accepts = 'a path that starts with "/", as clients send it: without "?" and "#", and with escapes such as %20'

    def read(self, value):
        path = super().read(value)
        if path[:1] != "/" or not path.isascii() or any(character in "?# " for character in path):
            raise Refused
        return path


class Flag:
    many = False
    metavar = ""
    words = FLAG_WORDS  # that the command line takes for its value
    accepts = "true or false"

    def read(self, value):
        flag = FLAG_WORDS.get(value.lower()) if isinstance(value, str) else value
        if not isinstance(flag, bool):
            raise Refused
        return flag


class AutoFlag(Flag):
    """A flag with a third value, "auto": decided later."""

    accepts = "auto, true or false"

    def read(self, value):
        if value is None or (isinstance(value, str) and value.lower() == "auto"):
            return "auto"
        return super().read(value)


class Integer:
    many = False
    metavar = "N"
    unit = ""

    def __init__(self, low, high):
        self.low, self.high = low, high
        self.accepts = f"a whole number from {low} to {high}"

    def read(self, value):
        number = self.parsed(value.strip()) if isinstance(value, str) else value
        if not isinstance(number, int) or isinstance(number, bool) or not self.low <= number <= self.high:
            raise Refused
        return number

    def parsed(self, text):
        return whole_number(text)


class Octal(Integer):
    """File permissions: a text is octal, with or without 0o; a number is taken as it is."""

    metavar = "OCTAL"

    def __init__(self, high):
        super().__init__(0, high)
        self.accepts = f'octal permissions from 0 to {high:o}, such as "660" or 0o660'

    def parsed(self, text):
        digits = text[2:] if text[:2] in ("0o", "0O") else text
        if not digits or len(digits) > 6 or digits.strip("01234567"):
            raise Refused
        return int(digits, 8)


class Size(Integer):
    """Bytes: a number, or text with a unit."""

    metavar = "SIZE"
    unit = "bytes"

    def __init__(self, low, high):
        super().__init__(low, high)
        self.accepts = f'a whole number of bytes from {low} to {high}, or a size such as "64KiB" or "10MB"'

    def parsed(self, text):
        number, unit, rest = measure(text)
        if rest or unit not in SIZE_UNITS:
            raise Refused
        size = number * SIZE_UNITS[unit]
        if size != int(size):
            raise Refused("it is not a whole number of bytes")
        return int(size)


class Seconds:
    """A duration: a number of seconds, or text with units; 0 turns it off."""

    many = False
    metavar = "TIME"
    unit = "seconds"

    # Timers count milliseconds: anything shorter would become 0, which means off.
    shortest = 0.001

    def __init__(self, high):
        self.high = high
        self.accepts_but_zero = f'seconds from {self.shortest} to {high}, a time such as "500ms" or "1m30s"'
        self.accepts = f"{self.accepts_but_zero}, or 0 for off"

    def read(self, value):
        time = self.parsed(value.strip()) if isinstance(value, str) else value
        if isinstance(time, bool) or not isinstance(time, (int, float)):
            raise Refused
        if time != 0 and not self.shortest <= time <= self.high:
            raise Refused
        return float(time)

    def parsed(self, text):
        number, unit, rest = measure(text)
        if not unit and not rest:
            return number
        total = 0
        while unit in TIME_UNITS:
            total += number * TIME_UNITS[unit]
            if not rest:
                return total
            number, unit, rest = measure(rest)
        raise Refused


class Several:
    """Any number of values of a kind; `separator` separates them in one text."""

    many = True

    def __init__(self, kind, separator, separator_name):
        self.kind, self.separator = kind, separator
        self.metavar = kind.metavar
        self.accepts = f"{kind.accepts} (several: a list, or separated by {separator_name} in one text)"

    def read(self, value):
        if isinstance(value, str):
            value = [item.strip() for item in value.split(self.separator) if item.strip()]
        if not isinstance(value, (list, tuple)):
            raise Refused
        return tuple(self.kind.read(item) for item in value)


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


class Names(Several):
    """Names out of a list, all of the same kind of thing; one text may hold several."""

    def __init__(self, thing, names):
        super().__init__(Text(), ",", "commas")
        self.thing, self.names = thing, tuple(names)
        self.metavar = "NAME,..."
        self.accepts = f"{', '.join(self.names)} (several: a list, or separated by commas in one text)"

    def read(self, value):
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, (list, tuple)):
            raise Refused
        found = [name for text in texts for name in super(Names, self).read(text if isinstance(text, str) else [text])]
        for name in found:
            if name not in self.names:
                raise Refused(f"unknown {self.thing} {name!r}")
        return tuple(found)


def measure(text):
    """The number, the unit in lower case and the rest of a text such as "1m30s"."""
    number_end = len(text) - len(text.lstrip("0123456789."))
    rest = text[number_end:]
    unit = rest[: len(rest) - len(rest.lstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))]
    number = text[:number_end]
    if "." not in number:
        return whole_number(number), unit.lower(), rest[len(unit) :]
    try:
        return float(number), unit.lower(), rest[len(unit) :]
    except ValueError:
        raise Refused from None


def whole_number(text):
    # 18 digits are more than any option needs; int() itself would take Unicode digits and underscores.
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Refused
    return int(text)


def brief(value):
    """The value on one line: a path in full, a long text cut."""
    text = repr(value)
    return text if len(text) <= 240 else text[:237] + "..."


def one_of(words, link="or"):
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {link} {words[-1]}"
