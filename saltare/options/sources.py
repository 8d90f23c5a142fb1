"""Reads, ranks and merges the sources of options: command line or keywords, environment, file, default."""

import os
import re

from .. import log
from ..errors import ConfigError
from ..modules import unload
from ..toml import file_content, parsed
from .checks import check_together, choose_way
from .config import WEB_CONCURRENCY, Config
from .table import BY_NAME, OPTIONS, PREFIX
from .values import Refused, brief, split_path

LINK = re.compile("(tcp|udp|sctp)://")
LINK_NAME = re.compile(r"(\w+_)?(service_host|service_port(_\w+)?|port_\d+_(tcp|udp|sctp)(_(proto|port|addr))?)")
KEYWORD, COMMAND_LINE = "keyword", "command line"
FORWARDED, PORT = "FORWARDED_ALLOW_IPS", "PORT"


def load(app, given, environ=os.environ, cwd=".", source=KEYWORD, app_needed=True, problems=(), command=None):
    """The Config made of all sources; `given` has the highest rank and `source` is its name. Names of other servers are
    accepted as foreign.py says. Does not import the app. `command`: a commands.Command, for `saltare run` and `dev`.

    ConfigError, with a line for each, for unknown, unacceptable or contradictory options, and for the `problems` that
    the caller has found already.
    """
    config, problems = examine(app, given, environ, cwd, source, app_needed, problems, command)
    if problems:
        raise ConfigError(*problems)
    log.set_format(config.log_format)
    log_notes(config, environ, source)
    unload("options.foreign", "options.meanings")
    return config


def examine(app, given, environ, cwd, source, app_needed, problems, command=None):
    """The Config without the options that are not accepted, and a line for each problem."""
    reading = Reading(problems, command)
    reading.read_all(given if app is None else {"app": app, **given}, environ, cwd, source)
    if command is not None:
        reading.search(cwd, app_needed)
    found = reading.found
    if "app" in found and isinstance(found["app"].value, str) and split_path(found["app"].value)[0] is not None:
        from .app_path import resolve

        resolve(reading, cwd)
    aside = {**choose_way(found, reading.problems), **reading.aside}
    values = {one.name: found[one.name].value if one.name in found else one.default for one in OPTIONS}
    sources = {one.name: found[one.name].source if one.name in found else "default" for one in OPTIONS}
    if sources["access_log"] == "default" != sources["access_log_path"]:
        values["access_log"], sources["access_log"] = True, sources["access_log_path"]
    if isinstance(values["app"], str) and values["app"].endswith("()"):
        values.update(app=values["app"][:-2], factory=True)
        sources["factory"] = sources["app"]
    config = Config(values, {**sources, **aside})
    if command is not None:
        config.environment = command.environment()
    config.notes, config.warnings = tuple(reading.notes), (*reading.warnings, *in_vain(values, found))
    check_together(config, reading, cwd, app_needed)
    return config, reading.problems


def in_vain(values, found):
    """A line for each option of the access log that has no effect."""
    for name in ("access_log_format", "access_log_exclude"):
        if name in found and not values["access_log"] and values[name] != BY_NAME[name].default:
            yield f"{found[name].label} has no effect: the access log is off, and --access-log turns it on"


class Found:
    """A value from a source; `given`: how it was written there, under a name of another server."""

    __slots__ = ("given", "label", "rank", "source", "value")

    def __init__(self, value, rank, label, source, given=None):
        self.value, self.rank, self.label, self.source = value, rank, label, source
        self.given = value if given is None else given


class Layer:
    """A source: its rank (0 is the highest), its name, and how it spells the name of an option."""

    __slots__ = ("label", "rank", "source")

    def __init__(self, rank, source, label):
        self.rank, self.source, self.label = rank, source, label


class Reading:
    """What the sources give: `found`, option name -> Found of the highest rank; `problems`; `notes` about names of
    other servers, and those of them that are `warnings`. `broken` are options with a problem of their own, which other
    checks leave alone; `aside` has the sources of those that the command sets aside.
    """

    def __init__(self, problems, command=None):
        self.found, self.problems, self.broken = {}, list(problems), set()
        self.notes, self.warnings, self.aside = [], [], {}
        self.command = command

    def read_all(self, given, environ, cwd, source):
        label = flag_of if source == COMMAND_LINE else lambda name, value=None: name
        names = environment_names(environ)
        for name in service_links(names):
            del names[name]
        self.read_layer(given, Layer(0, source, label))
        if self.command is not None:
            self.read_commands(self.command.typed(), 0, self.command.title)
        self.read_layer(names, Layer(1, "environment", lambda name, value=None: PREFIX + name.upper()))
        if source == COMMAND_LINE:
            self.read_uvicorns(environ)
        if self.command is not None and environ.get(PORT):
            self.read_layer({"port": environ[PORT]}, Layer(1, f"environment, as {PORT}", lambda name, value=None: PORT))
        self.read_file(cwd)
        self.read_concurrency(environ, source)
        if FORWARDED in environ:
            self.read_layer(
                {"forwarded_allow_ips": environ[FORWARDED]}, Layer(3, FORWARDED, lambda name, value=None: FORWARDED)
            )
        if self.command is not None:
            self.read_commands(self.command.defaults(), 4, f"default of {self.command.title}")
            self.set_workers_aside()

    def read_commands(self, options, rank, source):
        self.read_layer(options, Layer(rank, source, lambda name, value=None: self.command.title))

    def set_workers_aside(self):
        """`saltare dev` has one worker, whatever a file for production says."""
        reload, workers = self.found.get("reload"), self.found.get("workers")
        if workers is not None and workers.rank and reload is not None and reload.source == self.command.title:
            self.aside["workers"] = f"default: {workers.source} is set aside by {reload.label}"
            del self.found["workers"]

    def search(self, cwd, app_needed):
        """Looks for the app, if no source gives one."""
        if self.command.app is None and ("app" in self.found or "app" in self.broken):
            return
        self.found.pop("app", None)
        app, source = self.command.search(self, cwd, app_needed)
        if app is not None:
            self.read_layer({"app": app}, Layer(0, source, lambda name, value=None: source))

    def read_layer(self, given, layer):
        found = {}
        for name, value in given.items():
            label = layer.label(name, value)
            try:
                for option, one in self.turned(name, value, label, layer):
                    self.add(found, option, one)
            except Refused as refusal:
                self.problems.append(f"{label if label.isprintable() else repr(label)}: {refusal}")
        for name, one in found.items():
            self.found.setdefault(name, one)

    def turned(self, name, value, label, layer):
        """(option, Found) of each option that the name sets. Refused: the text says why."""
        option = BY_NAME.get(name)
        if option is None:
            return self.turned_foreign(name, value, label, layer)
        if value is None and layer.source == KEYWORD:
            return []
        return [(option, Found(self.read_value(option, value), layer.rank, label, layer.source, value))]

    def turned_foreign(self, name, value, label, layer):
        from .foreign import BY_NAME as ROWS

        row = ROWS.get(name)
        if row is None:
            from .unknown import unknown

            raise Refused(unknown(name, f", got {brief(value)}", layer.label))
        try:
            ours = row.turn(value)
        except Refused as refusal:
            switch = value is True or label.startswith("--no-")
            given = "" if switch else f"got {brief(value)}; "
            raise Refused(f"{given}{refusal}") from None
        note = row.note(label, value, ours)
        self.notes.append(note)
        if ours and row.meaning.partly:
            self.warnings.append(note)
        source = f"{layer.source}, as {label}"
        return [
            (BY_NAME[name], Found(self.read_value(BY_NAME[name], one), layer.rank, label, source, value))
            for name, one in ours.items()
        ]

    def read_value(self, option, value):
        # An empty text, for an option that is unset by default, cancels the value of a lower source.
        if option.default is None and (value is None or (isinstance(value, str) and not value)):
            return None
        try:
            return option.kind.read(value)
        except Refused as refusal:
            self.broken.add(option.name)
            reason = f" ({refusal})" if str(refusal) else ""
            raise Refused(f"got {brief(value)}{reason}; accepted: {option.kind.accepts}") from None

    def add(self, found, option, one):
        """Merges with what the same source has given by another spelling."""
        other = found.setdefault(option.name, one)
        if other is one or other.value == one.value:
            return
        if option.kind.many:
            other.value = (*other.value, *one.value)
        elif option.name == "ws_keepalive_timeout" and "ping" in other.label.lower() and "ping" in one.label.lower():
            # One time for both: uvicorn's interval, which is 0 for no pings, and timeout.
            off = any(not each.value and "interval" in each.label.lower() for each in (other, one))
            other.value = 0.0 if off else max(other.value, one.value)
        else:
            self.broken.add(option.name)
            given = f"got {brief(other.given)} and {brief(one.given)}; they are the same option, accepted once"
            if other.given == one.given:
                given = f"{brief(one.given)} of each means something else; write one of them"
            self.problems.append(f"{other.label} and {one.label} contradict each other: {given}")

    def read_uvicorns(self, environ):
        """UVICORN_<KEYWORD>, which uvicorn's command line reads."""
        names = {name[8:].lower(): value for name, value in environ.items() if name.startswith("UVICORN_")}
        if names:
            from .foreign import of_uvicorn

            self.read_layer(
                of_uvicorn(names), Layer(1, "environment", lambda name, value=None: f"UVICORN_{name.upper()}")
            )

    def read_file(self, cwd):
        """Reads the chosen TOML file, otherwise [tool.saltare] of ./pyproject.toml."""
        chosen = self.found.get("config")
        path = None if chosen is None else chosen.value
        try:
            if path is not None and (path.endswith(".py") or path.startswith(("file:", "python:"))):
                from .python_file import refusal

                raise ConfigError(f"{chosen.label}: got {brief(path)}, {refusal(path, cwd)}")
            shown = path or "pyproject.toml"
            table = read_toml(shown, os.path.join(cwd, shown), required=path is not None)
        except ConfigError as error:
            self.problems.extend(error.problems)
            return
        self.read_layer(table, Layer(2, f"file {shown}", lambda name, value=None: f"{name} in {shown}"))

    def read_concurrency(self, environ, source):
        """WEB_CONCURRENCY is the default of workers, as in uvicorn and gunicorn, where there can be several."""
        text = environ.get(WEB_CONCURRENCY)
        app, reload = (self.found[name].value if name in self.found else None for name in ("app", "reload"))
        several = not reload and (source == COMMAND_LINE or isinstance(app, str))
        if text and several and "workers" not in {*self.found, *self.broken}:
            self.read_layer({"workers": text}, Layer(3, WEB_CONCURRENCY, lambda name, value=None: WEB_CONCURRENCY))


def environment_names(environ):
    return {name[len(PREFIX) :].lower(): value for name, value in environ.items() if name.startswith(PREFIX)}


def service_links(names):
    """The names that Kubernetes sets in every container, for a service called saltare or saltare-..."""
    return [name for name, value in names.items() if is_service_link(name, value)]


def is_service_link(name, value):
    if name in BY_NAME:
        return name == "port" and bool(LINK.match(value))
    return bool(LINK_NAME.fullmatch(name) or (name.endswith("_port") and LINK.match(value)))


def log_notes(config, environ, source):
    """Logs how names of other servers were read, mostly at debug, and each kind of variable that is not read."""
    if config.log_level == "debug":
        for note in config.notes:
            log.write(log.line(log.DEBUG, note))
    if config.log_level in ("error", "critical"):
        return
    for note in (*config.warnings, *not_read(environ, source, config)):
        log.warning(note)


def not_read(environ, source, config):
    """A line for each kind of variable that is set in vain."""
    if links := service_links(environment_names(environ)):
        spelled = ", ".join(PREFIX + name.upper() for name in sorted(links))
        yield (
            f"environment variables that Kubernetes sets for a service of this name are ignored: {spelled}; "
            "enableServiceLinks: false in the pod avoids them"
        )
    theirs = [name for name in environ if name.startswith("GRANIAN_") or name == "GUNICORN_CMD_ARGS"]
    if theirs and source == COMMAND_LINE:
        from .foreign import not_read as of_others

        yield from of_others(environ, theirs)


def flag_of(name, value=None):
    """How the command line spells a name; short flags are spelled as they are."""
    if name.startswith("-"):
        return name
    option = BY_NAME.get(name)
    if option is None:
        return ("--no-" if value is False else "--") + name.replace("_", "-")
    return "app" if name == "app" else option.off_flag if value is False and option.off_flag else option.flag


def read_toml(shown, path, required):
    content = file_content(shown, path, required)
    of_project = os.path.basename(path) == "pyproject.toml"
    if of_project and b"[tool.saltare" not in content:
        if required:
            raise ConfigError(f"{shown}: there is no [tool.saltare] in it")
        return {}
    table = parsed(shown, content)
    if of_project:
        table = table.get("tool", {}).get("saltare", {})
    if not isinstance(table, dict):
        raise ConfigError(f"{shown}: [tool.saltare] is not a table of options")
    if "config" in table:
        raise ConfigError(f"config in {shown}: got {brief(table['config'])}; a file cannot name another one")
    return table
