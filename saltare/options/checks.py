"""Checks options against each other, once all sources are read."""

import os

from .table import BY_NAME, WAYS
from .values import brief, one_of

YEAR = 31536000  # seconds
OWN_PATHS = (
    "health_path",
    "metrics_path",
    "status_path",
    "tracemalloc_path",
)  # options whose value is a path that the server answers


def choose_way(found, problems):
    """Keeps in `found` only the way to listen of the highest rank; returns the sources of the others."""
    used = [name for name in WAYS if name in found and found[name].value not in (None, ())]
    if not used:
        return {}
    first = min(used, key=lambda name: found[name].rank)
    rivals = [found[name] for name in used if found[name].rank == found[first].rank]
    if len({WAYS[name] for name in used if found[name] in rivals}) > 1:
        problems.append(contradiction(*rivals, advice="give one of them, or several addresses by bind"))
        return {}
    aside = {}
    for name in used:
        if WAYS[name] != WAYS[first]:
            aside[name] = f"default: {found.pop(name).source} is set aside by {found[first].label}"
    return {**aside, **choose_permissions(found, first, problems)}


def choose_permissions(found, way, problems):
    permissions = found.get("uds_permissions")
    if permissions is None or permissions.value is None or listens_at_unix(way, found[way].value):
        return {}
    if permissions.rank <= found[way].rank:
        advice = "there is no Unix socket to give permissions to; leave one of them out"
        problems.append(contradiction(permissions, found[way], advice=advice))
        return {}
    del found["uds_permissions"]
    return {"uds_permissions": f"default: {permissions.source} is set aside by {found[way].label}"}


def listens_at_unix(way, value):
    return way == "uds_path" or (way == "bind" and any(text.startswith("unix:") for text in value))


def spelled(one, name):
    """The name of an option as that other one was written: as a flag or as a keyword."""
    return BY_NAME[name].flag if one.label.startswith("-") else name


def within(path, cwd):
    """Where a relative path was looked for."""
    return "" if os.path.isabs(path) else f" in {os.path.abspath(cwd)}"


def only_unix(config):
    return config.way() == "uds_path" or (
        config.way() == "bind" and all(text.startswith("unix:") for text in config.bind)
    )


def contradiction(*several, advice):
    labels = one_of([one.label for one in several], "and")
    values = one_of([brief(one.value) for one in several], "and")
    return f"{labels} contradict each other: got {values}; {advice}"


def check_together(config, reading, cwd, app_needed):
    """Adds a line to reading.problems for each option that does not fit the others, or this machine."""
    found, broken = reading.found, reading.broken
    for names, text in complaints(config, found, cwd, app_needed):
        if broken.isdisjoint(names):
            reading.problems.append(text)


def complaints(config, found, cwd, app_needed):
    """(options that it is about, text) of each."""
    if config.app is None and app_needed:
        yield ("app",), 'app: none given; accepted: "module:attribute", such as main:app, or a path, such as main.py'
    if config.factory and isinstance(config.app, str) and config.app.endswith(":"):
        label, value = found["factory"].label, found["factory"].value
        yield ("app", "factory"), f"{label}: got {value}, but no name of the factory; write --app NAME as well"
    if "uds_permissions" in found and config.way() == "tcp" and not any(name in found for name in ("host", "port")):
        one = found["uds_permissions"]
        yield (
            ("uds_permissions", "uds_path", "bind"),
            f"{one.label}: got {one.value:o}, but there is no Unix socket; accepted with {spelled(one, 'uds_path')}",
        )
    for name, one in found.items():
        if name.startswith("tcp_") and one.value and only_unix(config):
            text = f"{one.label}: got {brief(one.value)}, but there is only a Unix socket; accepted with host and port"
            yield (name, "uds_path", "bind"), text
    yield from of_paths(found, cwd)
    if "user" in found or "group" in found:
        yield from of_accounts(found)
    yield from of_modules(found)
    yield from of_tls(config, found)
    if config.ws_deflate_context and not config.ws_per_message_deflate:
        one = found["ws_deflate_context"]
        more = spelled(one, "ws_per_message_deflate")
        text = f"{one.label}: got True, but messages are not compressed; write {more} as well"
        yield ("ws_deflate_context", "ws_per_message_deflate"), text
    if config.max_connections_per_ip and config.proxy_headers and "*" in config.forwarded_allow_ips:
        advice = "the connections of a peer that is believed do not count, so there is nothing to limit"
        names = ("max_connections_per_ip", "forwarded_allow_ips")
        yield names, contradiction(*(found[name] for name in names), advice=advice)
    if config.rate_limit_burst != BY_NAME["rate_limit_burst"].default and not config.rate_limit_per_sec:
        one = found["rate_limit_burst"]
        text = f"{one.label}: got {brief(one.value)}, but there is no rate_limit_per_sec for it"
        yield ("rate_limit_burst", "rate_limit_per_sec"), text
    if config.memory == "safe" and config.park_memory is not None:
        advice = "parking moves memory; leave one of them out, or turn off single techniques by memory_without"
        yield ("memory", "park_memory"), contradiction(found["memory"], found["park_memory"], advice=advice)
    yield from of_answers(config, found)
    yield from of_fields(config, found)
    yield from of_processes(config, found, cwd)


def of_answers(config, found):
    """No two options may answer one path; and what others of the group need."""
    buckets = found.get("metrics_buckets")
    if buckets and buckets.value != BY_NAME["metrics_buckets"].default and not config.counts():
        text = f"{buckets.label}: got {brief(buckets.value)}, but there is no metrics_path"
        yield ("metrics_buckets", "metrics_path", "status_path"), text
    if config.admin_bind is not None and not any(getattr(config, name) for name in OWN_PATHS):
        label, names = found["admin_bind"].label, one_of(OWN_PATHS)
        yield ("admin_bind", *OWN_PATHS), f"{label}: got {config.admin_bind}, but nothing to answer there: set {names}"
    owners = {"/favicon.ico": "favicon_204"} if config.favicon_204 else {}
    for name in OWN_PATHS:
        path = getattr(config, name)
        owner = owners.setdefault(path, name)
        if path is not None and owner != name:
            yield (owner, name), contradiction(found[owner], found[name], advice="give each its own path")


def of_fields(config, found):
    """Fields of responses that two options would send, and what HSTS needs."""
    sent = {field.partition(":")[0].lower() for field in config.header}
    if config.request_id_header is not None and config.request_id_header.lower() in sent:
        names = ("request_id_header", "header")
        yield names, contradiction(*(found[name] for name in names), advice="it has another value for each request")
    if config.hsts_max_age and "strict-transport-security" in sent:
        names = ("hsts_max_age", "header")
        yield names, contradiction(*(found[name] for name in names), advice="leave one of them out")
    for name in ("hsts_include_subdomains", "hsts_preload"):
        if getattr(config, name) and not config.hsts_max_age:
            one = found[name]
            text = f"{one.label}: got True, but HSTS is off; write {spelled(one, 'hsts_max_age')} as well"
            yield (name, "hsts_max_age"), text
    if config.hsts_preload and 0 < config.hsts_max_age < YEAR:
        one = found["hsts_preload"]
        text = f"{one.label}: got True with {spelled(one, 'hsts_max_age')} {config.hsts_max_age}"
        yield ("hsts_preload", "hsts_max_age"), f"{text}; browsers ask for at least {YEAR} (a year)"


def of_paths(found, cwd):
    for name, exists, kind in (
        ("app_dir", os.path.isdir, "a folder"),
        ("env_file", os.path.isfile, "a file"),
        ("log_config", os.path.isfile, "a file"),
        ("park_memory", is_writable_folder, "a writable folder"),
    ):
        one = found.get(name)
        if one is not None and isinstance(one.value, str) and not exists(os.path.join(cwd, one.value)):
            yield (
                (name,),
                f"{one.label}: got {brief(one.value)}, which is not {kind} that exists{within(one.value, cwd)}",
            )


def of_tls(config, found):
    """The contents of the files are judged by the core."""
    names = (
        "ssl_keyfile",
        "ssl_keyfile_password",
        "ssl_ca_file",
        "ssl_verify_client",
        "ssl_ciphers",
        "ssl_min_version",
    )
    used = [found[name] for name in names if name in found and found[name].value != BY_NAME[name].default]
    if used and not config.ssl_certfile:
        labels = one_of([one.label for one in used], "and")
        yield ("ssl_certfile", *names), f"{labels}: given without a certificate; name its file with ssl_certfile"
    elif config.ssl_keyfile and len(config.ssl_keyfile) != len(config.ssl_certfile):
        label, certificates = found["ssl_keyfile"].label, len(config.ssl_certfile)
        text = f"{label}: got {brief(config.ssl_keyfile)}, but there are {certificates} certificates (ssl_certfile)"
        yield ("ssl_keyfile", "ssl_certfile"), f"{text}; give a key for each of them, in their order"
    elif config.ssl_verify_client and not config.ssl_ca_file:
        text = f"{found['ssl_verify_client'].label}: got True, but no authorities; name their file with ssl_ca_file"
        yield ("ssl_verify_client", "ssl_ca_file"), text


def is_writable_folder(path):
    return os.path.isdir(path) and os.access(path, os.W_OK | os.X_OK)


def of_accounts(found):
    """Users and groups must exist; one that is a number needs no entry."""
    from .accounts import entry

    for name in ("user", "group"):
        one = found.get(name)
        if one is not None and one.value is not None and not one.value.isdigit() and entry(name, one.value) is None:
            text = f"{one.label}: got {brief(one.value)}, but this machine has no such {name}; create it"
            yield (name,), f"{text}, or write a number"
    user, group = found.get("user"), found.get("group")
    numbered = user is not None and user.value is not None and user.value.isdigit()
    if numbered and (group is None or group.value is None) and entry("user", user.value) is None:
        more = spelled(user, "group")
        text = f"{user.label}: got {brief(user.value)}, which has no entry in the list of users; write {more} as well"
        yield ("user", "group"), text


def of_modules(found):
    env_file, loop = found.get("env_file"), found.get("loop")
    if env_file is not None and env_file.value is not None and not is_installed("dotenv"):
        yield ("env_file",), needs(env_file, "dotenv")
    if loop is not None and loop.value == "uvloop" and not is_installed("uvloop"):
        yield ("loop",), needs(loop, "uvloop")


def is_installed(module):
    from importlib.util import find_spec

    return find_spec(module) is not None


def needs(found, extra):
    return f'{found.label}: got {brief(found.value)}, which needs pip install "saltare[{extra}]"'


def of_processes(config, found, cwd):
    for name in ("reload_dir", "reload_include", "reload_exclude"):
        # Programs compute whether to reload, so their keywords may say what to watch all the same.
        typed = name in found and not found[name].source.startswith("keyword")
        if typed and found[name].value != BY_NAME[name].default and not config.reload:
            one = found[name]
            more = spelled(one, "reload")
            yield (name, "reload"), f"{one.label}: got {brief(one.value)}, but reload is off; write {more} as well"
    for folder in config.reload_dir:
        if not os.path.isdir(os.path.join(cwd, folder)):
            label, where = found["reload_dir"].label, within(folder, cwd)
            yield ("reload_dir",), f"{label}: got {brief(folder)}, which is not a folder that exists{where}"
    if config.limit_max_requests_jitter and not config.limit_max_requests:
        one = found["limit_max_requests_jitter"]
        more = spelled(one, "limit_max_requests")
        text = f"{one.label}: got {brief(one.value)}, but there is no limit to add it to; write {more} as well"
        yield ("limit_max_requests_jitter", "limit_max_requests"), text
    if config.worker_cpus is not None:
        yield from of_cpus(config, found)
    if config.reload and config.workers != 1:
        advice = "while files are watched there is one worker; leave one of them out"
        yield ("reload", "workers"), contradiction(found["reload"], found["workers"], advice=advice)
    if config.app is None or isinstance(config.app, str):
        return
    if config.reload:
        yield ("reload",), needs_name(found["reload"])
    elif config.supervised() and not config.preload:
        yield ("preload",), needs_name(found["preload"])


def of_cpus(config, found):
    one, here = found["worker_cpus"], os.sched_getaffinity(0)
    if not config.supervised():
        text = f"{one.label}: got {brief(one.value)}, but there are no workers; write {spelled(one, 'workers')} as well"
        yield ("worker_cpus", "workers"), f"{text}, or start the server by taskset"
    elif config.worker_cpus != "auto":
        missing = {int(cpu) for cpu in config.worker_cpus.split(",")} - here
        if missing:
            text = f"{one.label}: got {brief(one.value)}, with CPU {ranges(missing)}"
            there = f"this process may run on {ranges(here)}"
            yield ("worker_cpus",), f"{text}, but {there}; leave out the others, or write auto"


def ranges(numbers):
    """Numbers as worker_cpus has them: 0-3,8."""
    spans = []
    for one in sorted(numbers):
        if spans and one == spans[-1][1] + 1:
            spans[-1][1] = one
        else:
            spans.append([one, one])
    return ",".join(f"{low}-{high}" if low < high else f"{low}" for low, high in spans)


def needs_name(found):
    return (
        f"{found.label}: got {brief(found.value)}, for which the app is imported again and again; "
        'accepted with an app given as "module:attribute"'
    )
