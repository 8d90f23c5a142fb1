"""The kinds of value of the access log: its file, its format, paths that it leaves out."""

import os

from .values import Path, Refused, Text

STREAMS = {"-": "stdout", "stdout": "stdout", "stderr": "stderr"}
FORMATS = ("json", "combined", "uvicorn")

# As in gocore/internal/accesslog/field.go; a test compares them.
FIELDS = (
    "client",
    "client_addr",
    "method",
    "path",
    "path_only",
    "query",
    "request_id",
    "trace_id",
    "user_agent",
    "referer",
    "time",
    "time_clf",
    "timestamp",
    "client_port",
    "protocol",
    "worker",
    "pid",
    "status",
    "reason",
    "bytes_in",
    "bytes_out",
    "bytes",
    "duration_us",
    "latency_us",
    "duration_ms",
    "duration_s",
    "first_byte_us",
    "outcome",
    "ws_code",
)
HEADER = "header:"
TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")  # RFC 9110 5.6.2


# So that a line, without what it has of a request, fits a pipe: limits.LogPipeBytes of the core.
MOST_CHARACTERS, MOST_FIELDS = 1024, 40


class LogFile(Path):
    """The name of a standard stream, or an absolute path: the app may change the folder."""

    metavar = "FILE"
    accepts = "a path, - or stdout, or stderr"

    def read(self, value):
        path = super().read(value)
        return STREAMS.get(path) or os.path.abspath(path)


class LogFormat(Text):
    """A name, json:FIELD,... or text with fields in braces; %(atoms)s of other servers become such fields."""

    metavar = "FORMAT"
    accepts = (
        'json, combined, uvicorn, json:FIELD,FIELD or text with fields, such as "{client} {method} {path} {status}"'
    )

    def read(self, value):
        text = super().read(value)
        if not text:
            raise Refused
        if text in FORMATS:
            return text
        if "%(" in text:
            from .log_atoms import translated

            text = translated(text)
        names = listed(text) if text.startswith("json:") else list(braced(text))
        for name in names:
            check_field(name)
        if len(text) > MOST_CHARACTERS or len(names) > MOST_FIELDS:
            raise Refused(f"it is longer than {MOST_CHARACTERS} characters or {MOST_FIELDS} fields")
        return text


class RequestPath(Text):
    metavar = "PATH"
    accepts = 'a path that starts with "/", perhaps with "*" at its end'

    def read(self, value):
        path = super().read(value)
        if not path.startswith("/"):
            raise Refused
        if "?" in path:
            raise Refused("a query is no part of it")
        return path


def listed(text):
    """The fields of json:FIELD,FIELD."""
    return [name.strip() for name in text.partition(":")[2].split(",")]


def braced(text):
    """The fields in braces; {{ and }} are braces."""
    while (at := first_brace(text)) >= 0:
        if text[at : at + 2] in ("{{", "}}"):
            text = text[at + 2 :]
            continue
        name, closed, rest = text[at + 1 :].partition("}")
        if text[at] == "}" or not closed:
            raise Refused(f"there is a {text[at]} without its counterpart; a brace is written twice: {text[at] * 2}")
        yield name
        text = rest


def first_brace(text):
    return min((at for at in (text.find("{"), text.find("}")) if at >= 0), default=-1)


def check_field(name):
    if name in FIELDS:
        return
    line = name.removeprefix(HEADER)
    if line != name and line and TOKEN.issuperset(line):
        return
    raise Refused(f"there is no field {name!r}; the fields are {', '.join(FIELDS)} and {HEADER}NAME")
