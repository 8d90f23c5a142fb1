"""Opens all listening sockets of a configuration; rarely used modules are imported only when needed."""

import os
from contextlib import suppress
from socket import AF_UNIX

from ..errors import StartError
from .listener import tune, with_scheme
from .tcp import open_tcp

FAST_OPEN = "/proc/sys/net/ipv4/tcp_fastopen"
FOR_SERVERS = 2  # its bit


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
    if config.tcp_fastopen_qlen:
        check_fast_open()
    ready = [(key, opened or taken_over(wanted, found, config)) for key, wanted, found, opened in made]
    return marked(config, [one for key, opened in ready for one in named(key, opened, config)])


def check_fast_open():
    """Warns if the system does not let servers use it."""
    with suppress(OSError, ValueError), open(FAST_OPEN) as file:
        if not int(file.read()) & FOR_SERVERS:
            from .. import log

            log.warning(
                "tcp_fastopen_qlen has no effect: the system does not let servers use TCP fast open; "
                "sysctl -w net.ipv4.tcp_fastopen=3 does"
            )


def open_or_keep(config, inherited):
    """The same for a successor: on failure it keeps the sockets of the previous program."""
    if not inherited:
        inherited, config.opened = config.opened, None
    try:
        return open_listeners(config, inherited)
    except StartError as error:
        if not inherited:
            raise
        from .. import log

        log.error(f"{error}; the server keeps listening on the old addresses")
        kept = [(key, taken_over(key.split(" ", 1), fds, config)) for key, fds in inherited.items()]
        return marked(config, [one for key, listeners in kept for one in named(key, listeners, config)])


def close_opened(config):
    """Closes what was opened for a server that did not come to use it."""
    opened, config.opened = config.opened or {}, None
    for key, fds in opened.items():
        for one in taken_over(key.split(" ", 1), fds, config):
            one.close()


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
    return marked(config, named(" ".join(map(str, wanted)), opened_as(config, *wanted), config))


def named(key, listeners, config):
    for one in listeners:
        one.key = key
    return with_scheme(listeners, config)


def opened_as(config, kind, *address):
    """Imports rarely used modules only when needed."""
    if kind == "tcp":
        return open_tcp(config, *address)
    if kind == "unix":
        from .unix import open_unix

        return open_unix(config, *address)
    from . import passed

    return passed.OPENERS[kind](config, *address)


def taken_over(wanted, fds, config):
    """The sockets of the previous program, which may have had other options of TCP."""
    from .passed import adopted

    listeners = adopted(wanted, fds)
    for one in listeners:
        if one.socket.family != AF_UNIX:
            tune(one.socket, config)
    return listeners


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
