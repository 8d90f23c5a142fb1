"""What a name of another server means here: an option of ours, nothing, or a refusal; and how its values are read."""

from .config import AT_ONCE
from .values import Refused, Seconds, Size, whole_number


class Spelling:
    """Another spelling of one of our options; `read` converts the value, or returns a dict of several options.

    `partly`: it does less here, as the note says, so each use is logged as a warning.
    """

    def __init__(self, name, read=None, note="", partly=False):
        self.name, self.read, self.note, self.partly = name, read, note, partly

    def turn(self, value):
        if value is None and self.read not in (graceful, pings):
            return {}
        value = value if self.read is None else self.read(value)
        return value if isinstance(value, dict) else {self.name: value}

    def advice(self):
        """What to write, for documents."""
        from .table import BY_NAME

        if self.note.startswith("leave it out"):
            return self.note
        ours = "the argument" if self.name == "app" else f"`{BY_NAME[self.name].flag}`"
        return f"{ours}; {self.note}" if self.note else ours


class Fine:
    """Nothing to do: for every value, or for those that are listed; others are refused."""

    def __init__(self, why, words=None, reason=""):
        self.why, self.words, self.reason = why, words and words.split(), reason or why

    def turn(self, value):
        if value is not None and self.words and word(value) not in self.words:
            raise Refused(self.reason)
        return {}

    def advice(self):
        if not self.words:
            return f"leave it out: {self.why}"
        values = ", ".join(f"`{one}`" for one in self.words)
        return f"{values}: leave it out, {self.why}. Other values are refused: {self.reason}"


class Refusal:
    """Refused, unless the value asks for nothing, such as None, False, 0 or an empty text."""

    def __init__(self, reason):
        self.reason = reason

    def turn(self, value):
        if not asks_nothing(value):
            raise Refused(self.reason)
        return {}

    def advice(self):
        return f"refused: {self.reason}"


NOTHING = ("", "0", "false", "no", "off", "none")


def asks_nothing(value):
    return value is None or word(value) in NOTHING or (isinstance(value, (list, tuple, dict, set)) and not value)


def word(value):
    """A value as a word in lower case, to compare it with others."""
    text = getattr(value, "value", value)  # granian's choices are enumerations
    return str(text).strip().lower() if isinstance(text, (str, int, float)) else repr(text)


def flag(name):
    return "--" + name.replace("_", "-")


# ---- values ----

# As in table.py; a test compares them.
DAY = 86400
LEAST_LINE, MOST_LINE = 256, 64 << 10
LEAST_FIELDS, MOST_FIELDS = 8, 4096
MOST_HEAD = 1 << 20
DEFAULT_HEAD = 64 << 10


def seconds(value, zero):
    """`zero`: what 0 is for there."""
    try:
        return Seconds(DAY).read(value)
    except Refused:
        raise Refused(f"accepted: {Seconds(DAY).accepts_but_zero}, or 0 for {zero}") from None


def number(value):
    try:
        count = whole_number(value.strip()) if isinstance(value, str) else value
    except Refused:
        count = None
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise Refused("accepted: a whole number")
    return count


def keep_alive(value):
    """0 means: close after each response."""
    return (
        {"keep_alive_timeout": value}
        if seconds(value, "a close after each response")
        else {"max_keepalive_requests": 1}
    )


def graceful(value):
    """0 means: cancel at once; None: wait for ever."""
    return 0 if value is None else seconds(value, "a cancel at once") or AT_ONCE


def pings(value):
    return 0 if value is None else value


def client_certificates(value):
    """CERT_REQUIRED of the module ssl, as a number or by its name. CERT_OPTIONAL is what ssl_ca_file does by itself."""
    return word(value).rpartition(".")[2] in ("2", "cert_required")


def tls_version(value):
    text = word(value).replace("tlsv", "").replace("tls", "")
    if text not in ("1.2", "1.3"):
        raise Refused("accepted: tls1.2 and tls1.3")
    return text


def milliseconds(value):
    return number(value) / 1000


def head(value):
    try:
        return min(Size(0, 1 << 50).read(value), MOST_HEAD)
    except Refused:
        raise Refused(f"accepted: {Size(0, MOST_HEAD).accepts}") from None


def line(value):
    """0 means: no limit; `Method target HTTP/1.1` is longer than the target."""
    return min(max(number(value) or MOST_LINE, LEAST_LINE), MOST_LINE)


def uri(value):
    return line(number(value) + 64) if number(value) else MOST_LINE


def fields(value):
    """0 means: as many as can be."""
    return min(max(number(value) or MOST_FIELDS, LEAST_FIELDS), MOST_FIELDS)


def field_size(value):
    """The limit of one field; ours is for all of them, so it must leave room for others."""
    most = number(value) or MOST_HEAD
    return {} if 2 * most <= DEFAULT_HEAD else {"max_request_head": min(2 * most, MOST_HEAD)}


def zig_head(value):
    """0 means: as large as the buffer."""
    return {"max_request_head": number(value)} if number(value) else {}


def prefix(value):
    text = str(value).strip("/")
    return f"/{text}" if text else ""


def one_file(value):
    files = list(value) if isinstance(value, (list, tuple)) else [value]
    if len(files) > 1:
        raise Refused("there can be one --env-file; join the files")
    return files[0] if files else {}


def only_when(name, ours):
    """A switch that is one of our options when it is on, and nothing when it is off."""
    return lambda value: {} if asks_nothing(value) else ours


def only_off(ours):
    return lambda value: ours if asks_nothing(value) else {}


def interface(value):
    if word(value) == "asginl":
        return {"lifespan": "off"}
    if asks_nothing(value) or word(value) in ("auto", "asgi", "asgi3"):
        return {}
    if word(value) == "asgi2":
        raise Refused(
            "saltare runs ASGI 3 apps; asgiref.compatibility.guarantee_single_callable makes one of an older app"
        )
    if word(value) == "wsgi":
        raise Refused("saltare runs ASGI apps; wrap a WSGI app: a2wsgi.WSGIMiddleware(app)")
    raise Refused("saltare runs ASGI 3 apps; accepted: auto, asgi, asgi3 and asginl")


def port_or_pid(value):
    """-p is short for the port in some servers, and for the pid file in others."""
    return {"port" if word(value).isdigit() else "pid": value}


def no_file(value):
    """An empty text means no access log."""
    return {"access_log": False} if value == "" else value


def log_file(value):
    """hypercorn writes json:FILE and toml:FILE."""
    if isinstance(value, str) and value.startswith(("json:", "toml:")):
        return value[5:]
    return {} if isinstance(value, dict) and not value else value


def worker_class(value):
    name = value if isinstance(value, str) else getattr(value, "__name__", repr(value))
    words = name.lower().replace(":", ".").split(".")
    if any(
        one in ("uvicorn", "uvicorn_worker", "saltare", "asgi", "asyncio", "uvloop", "uvicornworker") for one in words
    ):
        return {}
    if "trio" in words:
        raise Refused("saltare runs asyncio apps, not trio's")
    raise Refused(
        "workers of that kind run WSGI apps. saltare runs ASGI apps: leave it out, and wrap a WSGI app (a2wsgi)"
    )


def python_path(value):
    folders = [one for one in str(value).split(",") if one]
    if len(folders) > 1:
        raise Refused(f"write PYTHONPATH={':'.join(folders)} before the command")
    return {"app_dir": folders[0]} if folders else {}
