"""Opens all listening sockets of a configuration; rarely used modules are imported only when needed."""

import os

from ..errors import StartError
from .tcp import open_tcp


def open_listeners(config, inherited=None):
    """All configured sockets, listening and non-blocking. StartError, and no new one left open, if one fails.

    `inherited` has the descriptors of sockets already open, by `key`; those not configured are closed. After an error
    they all stay open.
    """
    inherited, made = dict(inherited or {}), []
    try:
        for wanted in [*addresses(config), *admin_addresses(config)]:
            key = " ".join(map(str, wanted))
            found = inherited.pop(key, None)
            made.append((key, wanted, found, [] if found else opened_as(config, *wanted)))
    except BaseException:
        for listener in [listener for *_, listeners in made for listener in listeners]:
            listener.close()
        raise
    for fd in [fd for fds in inherited.values() for fd in fds]:
        os.close(fd)
    return marked(
        config, [one for key, wanted, found, opened in made for one in named(key, opened or taken_over(wanted, found))]
    )


def open_or_keep(config, inherited):
    """The same for a successor: on failure it keeps the sockets of the previous program."""
    try:
        return open_listeners(config, inherited)
    except StartError as error:
        if not inherited:
            raise
        from .. import log

        log.error(f"{error}; the server keeps listening on the old addresses")
        kept = [one for key, fds in inherited.items() for one in named(key, taken_over(key.split(" ", 1), fds))]
        return marked(config, kept)


def admin_addresses(config):
    if config.admin_bind is None:
        return []
    from ..options.net_values import address

    return [address(config.admin_bind)]


def marked(config, listeners):
    """Marks those of admin_bind, and puts them last."""
    keys = [" ".join(map(str, wanted)) for wanted in admin_addresses(config)]
    for one in listeners:
        one.admin = one.key in keys
    return sorted(listeners, key=lambda one: one.admin)


def open_admin(config):
    """Only those of admin_bind, for a program that brings its own sockets."""
    (wanted,) = admin_addresses(config)
    return marked(config, named(" ".join(map(str, wanted)), opened_as(config, *wanted)))


def named(key, listeners):
    for one in listeners:
        one.key = key
    return listeners


def opened_as(config, kind, *address):
    """Imports rarely used modules only when needed."""
    if kind == "tcp":
        return open_tcp(config, *address)
    if kind == "unix":
        from .unix import open_unix

        return open_unix(config, *address)
    from . import passed

    return passed.OPENERS[kind](config, *address)


def taken_over(wanted, fds):
    from .passed import adopted

    return adopted(wanted, fds)


def addresses(config):
    way = config.way()
    if os.environ.get("LISTEN_PID") == str(os.getpid()):
        from .passed import passed_by_systemd

        if passed := passed_by_systemd(config):
            return passed
    if way == "bind":
        from ..options.net_values import address

        return [address(text) for text in config.bind]
    if way == "tcp":
        return [("tcp", config.host, config.port)]
    return [("unix", config.uds_path)] if way == "uds_path" else [("fd", config.fd)]
