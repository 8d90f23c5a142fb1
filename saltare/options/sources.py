"""Reads, ranks and merges the sources of options: command line or keywords, environment, file, default."""

import os
import re

from .. import log
from ..errors import ConfigError
from ..toml import file_content, parsed
from .config import Config
from .table import BY_NAME, OPTIONS, PREFIX, WAYS
from .values import Refused

LINK = re.compile("(tcp|udp|sctp)://")
LINK_NAME = re.compile(r"(\w+_)?(service_host|service_port(_\w+)?|port_\d+_(tcp|udp|sctp)(_(proto|port|addr))?)")


def load(app, given, environ=os.environ, cwd=".", source="keyword", app_needed=True):
    """The Config made of all sources; `given` has the highest rank and `source` is its name.

    ConfigError, of one line, for unknown, unacceptable or contradictory options. Does not import the app.
    """
    given = given if app is None else {"app": app, **given}
    found = merged(given, environ, cwd, source)
    aside = choose_way(found)
    values = {one.name: found[one.name].value if one.name in found else one.default for one in OPTIONS}
    sources = {one.name: found[one.name].source if one.name in found else "default" for one in OPTIONS}
    config = Config(values, {**sources, **aside})
    check_together(config, found, cwd, app_needed)
    warn_of_service_links(environ, config.log_level)
    return config


class Found:
    """A value from a source."""

    __slots__ = ("label", "rank", "source", "value")

    def __init__(self, value, rank, label, source):
        self.value, self.rank, self.label, self.source = value, rank, label, source


def merged(given, environ, cwd, source):
    """Option name -> Found of the highest rank."""
    names = environment_names(environ)
    for name in service_links(names):
        del names[name]
    found = read_layer(names, 1, "environment", lambda name: PREFIX + name.upper())
    found.update(read_layer(given, 0, source, flag_of if source == "command line" else str))
    for name, one in read_file(found.get("config"), cwd).items():
        found.setdefault(name, one)
    return found


def environment_names(environ):
    return {name[len(PREFIX) :].lower(): value for name, value in environ.items() if name.startswith(PREFIX)}


def service_links(names):
    """The names that Kubernetes sets in every container, for a service called saltare or saltare-..."""
    return [name for name, value in names.items() if is_service_link(name, value)]


def is_service_link(name, value):
    if name in BY_NAME:
        return name == "port" and bool(LINK.match(value))
    return bool(LINK_NAME.fullmatch(name) or (name.endswith("_port") and LINK.match(value)))


def warn_of_service_links(environ, level):
    """Logs one warning that names all ignored ones."""
    links = service_links(environment_names(environ))
    if links and level not in ("error", "critical"):
        spelled = ", ".join(PREFIX + name.upper() for name in sorted(links))
        log.warning(
            f"environment variables that Kubernetes sets for a service of this name are passed over: {spelled}; "
            "enableServiceLinks: false in the pod avoids them"
        )


def flag_of(name):
    option = BY_NAME.get(name)
    if option is None:
        return "--" + name.replace("_", "-")
    return "app" if name == "app" else option.flags[0] if name == option.name else "--" + name.replace("_", "-")


def read_layer(given, rank, source, label):
    """Option name -> Found, for one source; `label` gives the source's spelling of a name."""
    found = {}
    for name, value in given.items():
        option = BY_NAME.get(name)
        if option is None:
            raise unknown(name, f", got {brief(value)}", label)
        one = Found(read_value(option, value, label(name)), rank, label(name), source)
        other = found.setdefault(option.name, one)
        if other.value != one.value:
            raise ConfigError(
                f"{other.label} and {one.label} contradict each other: got {brief(other.value)} and {brief(value)}; "
                "they are the same option, accepted once"
            )
    return found


def read_value(option, value, label):
    # None or an empty text, for an option that is unset by default, cancels the value of a lower source.
    if option.default is None and (value is None or (isinstance(value, str) and not value)):
        return None
    try:
        return option.kind.read(value)
    except Refused as refusal:
        reason = f" ({refusal})" if str(refusal) else ""
        raise ConfigError(f"{label}: got {brief(value)}{reason}; accepted: {option.kind.accepts}") from None


def unknown(name, given, label):
    """The error for an unknown name; `given` is the text after the label, such as ", got 5"."""
    from difflib import get_close_matches

    if close := get_close_matches(name, BY_NAME, n=1) or [one for one in BY_NAME if one.startswith(name)]:
        hint = f"did you mean {label(close[0])}?"
    else:
        hint = "see saltare --help for those that are accepted"
    spelled = label(name)
    return ConfigError(f"{spelled if spelled.isprintable() else repr(spelled)}: unknown option{given}; {hint}")


def brief(value):
    """The value on one line: a path in full, a long text cut."""
    text = repr(value)
    return text if len(text) <= 240 else text[:237] + "..."


def read_file(chosen, cwd):
    """Reads the chosen TOML file, otherwise [tool.saltare] of ./pyproject.toml."""
    if chosen is not None and chosen.value is not None:
        return read_toml(chosen.value, os.path.join(cwd, chosen.value), required=True)
    return read_toml("pyproject.toml", os.path.join(cwd, "pyproject.toml"), required=False)


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
    return read_layer(table, 2, f"file {shown}", lambda name: f"{name} in {shown}")


def choose_way(found):
    """Keeps in `found` only the way to listen of the highest rank; returns the sources of the others."""
    used = [name for name in WAYS if name in found and found[name].value not in (None, ())]
    if not used:
        return {}
    first = min(used, key=lambda name: found[name].rank)
    aside = {}
    for name in used:
        if WAYS[name] == WAYS[first]:
            continue
        if found[name].rank == found[first].rank:
            raise contradiction(found[first], found[name], "give one of them, or several addresses by bind")
        aside[name] = f"default: {found.pop(name).source} is set aside by {found[first].label}"
    return {**aside, **choose_permissions(found, first)}


def choose_permissions(found, way):
    permissions = found.get("uds_permissions")
    if permissions is None or permissions.value is None or listens_at_unix(way, found[way].value):
        return {}
    if permissions.rank <= found[way].rank:
        raise contradiction(permissions, found[way], "there is no unix socket to give permissions to")
    del found["uds_permissions"]
    return {"uds_permissions": f"default: {permissions.source} is set aside by {found[way].label}"}


def listens_at_unix(way, value):
    return way == "uds_path" or (way == "bind" and any(text.startswith("unix:") for text in value))


def contradiction(one, other, advice):
    return ConfigError(
        f"{one.label} and {other.label} contradict each other: "
        f"got {brief(one.value)} and {brief(other.value)}; {advice}"
    )


def check_together(config, found, cwd, app_needed):
    """Checks options against each other."""
    if config.app is None and app_needed:
        raise ConfigError('app: none given; accepted: "module:attribute", such as main:app')
    if config.uds_permissions is not None and config.way() == "tcp":
        label = found["uds_permissions"].label
        raise ConfigError(
            f"{label}: got {config.uds_permissions:o}, but there is no unix socket; accepted with uds_path"
        )
    check_path(found.get("app_dir"), cwd, os.path.isdir, "a folder")
    check_path(found.get("env_file"), cwd, os.path.isfile, "a file")
    check_path(found.get("log_config"), cwd, os.path.isfile, "a file")
    check_path(found.get("park_memory"), cwd, is_writable_folder, "a writable folder")
    check_module(found.get("env_file"), "dotenv", "dotenv")
    if config.loop == "uvloop":
        check_module(found["loop"], "uvloop", "uvloop")
    if config.ws_deflate_context and not config.ws_per_message_deflate:
        label = found["ws_deflate_context"].label
        raise ConfigError(f"{label}: got True, but messages are not compressed: ws_per_message_deflate is off")
    if config.memory == "safe" and config.park_memory is not None:
        advice = "parking moves memory; leave one of them out, or turn off single techniques by memory_without"
        raise contradiction(found["memory"], found["park_memory"], advice)
    check_processes(config, found, cwd)


def check_processes(config, found, cwd):
    for name in ("reload_dir", "reload_include", "reload_exclude"):
        if name in found and found[name].value != BY_NAME[name].default and not config.reload:
            raise ConfigError(f"{found[name].label}: got {brief(found[name].value)}, but reload is off")
    for folder in config.reload_dir:
        if not os.path.isdir(os.path.join(cwd, folder)):
            raise ConfigError(f"{found['reload_dir'].label}: got {brief(folder)}, which is not a folder that exists")
    if config.limit_max_requests_jitter and not config.limit_max_requests:
        one = found["limit_max_requests_jitter"]
        raise ConfigError(f"{one.label}: got {brief(one.value)}, but there is no limit_max_requests to add it to")
    if config.reload and config.workers != 1:
        raise contradiction(found["reload"], found["workers"], "while files are watched there is one worker")
    if config.app is None or isinstance(config.app, str):
        pass
    elif config.reload:
        raise needs_name(found["reload"])
    elif config.supervised() and not config.preload:
        raise needs_name(found["preload"])
    if config.reload:
        check_module(found["reload"], "watchfiles", "reload")


def needs_name(found):
    return ConfigError(
        f"{found.label}: got {brief(found.value)}, for which the app is imported again and again; "
        'accepted with an app given as "module:attribute"'
    )


def check_path(found, cwd, exists, kind):
    if found is not None and isinstance(found.value, str) and not exists(os.path.join(cwd, found.value)):
        raise ConfigError(f"{found.label}: got {brief(found.value)}, which is not {kind} that exists")


def is_writable_folder(path):
    return os.path.isdir(path) and os.access(path, os.W_OK | os.X_OK)


def check_module(found, module, extra):
    if found is None or found.value is None:
        return
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise ConfigError(f'{found.label}: got {brief(found.value)}, which needs pip install "saltare[{extra}]"')
