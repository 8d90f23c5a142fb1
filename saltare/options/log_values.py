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
    "user_agent",
    "referer",
    "time",
    "time_clf",
    "timestamp",
    "client_port",
    "protocol",
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
    "worker",
    "pid",
)
HEADER = "header:"
TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")  # RFC 9110 5.6.2


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
        for name in listed(text) if text.startswith("json:") else braced(text):
            check_field(name)
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
    while text:
        before, _, text = text.replace("{{", "  ").partition("{")
        if "}" in before.replace("}}", "  "):
            raise Refused("there is a } without its {; a brace is written twice: }}")
        if not text:
            return
        name, closed, text = text.partition("}")
        if not closed:
            raise Refused("there is a { without its }; a brace is written twice: {{")
        yield name


def check_field(name):
    if name in FIELDS:
        return
    line = name.removeprefix(HEADER)
    if line != name and line and TOKEN.issuperset(line):
        return
    raise Refused(f"there is no field {name!r}; the fields are {', '.join(FIELDS)} and {HEADER}NAME")
