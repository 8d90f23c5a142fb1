"""TCP sockets that listen on each address of a name."""

import errno
import os
import socket

from ..errors import AddressInUseError, StartError
from .listener import Listener, in_url, listening


def open_tcp(config, host, port):
    """A listener per address of the name. Skips addresses that this machine lacks; StartError if none remains."""
    listeners, missing = [], None
    try:
        for family, name in resolved(host, port):
            # With port 0 all addresses of a name get the port that the first one got.
            taken = listeners[0].address[1] if listeners and port == 0 else port
            try:
                listeners.append(Listener(bound_tcp(config, family, (name[0], taken, *name[2:]))))
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise tcp_failure(error, host, taken) from None
                missing = error
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    if not listeners:
        raise tcp_failure(missing, host, port)
    return listeners


def resolved(host, port):
    """(family, socket name) of each address of a host, IPv4 first: our URL shows the first."""
    try:
        # Bytes avoid the tables of the idna codec, 0.4 MiB.
        name = host.encode("ascii") if host.isascii() else host
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else "not a host name"
        raise StartError(f"cannot listen on {host}: the name does not resolve: {reason}") from None
    inet = (socket.AF_INET, socket.AF_INET6)
    unique = dict.fromkeys((family, name) for family, _, _, _, name in found if family in inet)
    return sorted(unique, key=lambda one: one[0] != socket.AF_INET)


def bound_tcp(config, family, name):
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not takes_ipv4(config, *name[:2]))
        if config.reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(name)
        return listening(sock, config)
    except BaseException:
        sock.close()
        raise


def takes_ipv4(config, host, port):
    """Whether an IPv6 socket accepts IPv4 as well: on ::, unless another address of the line takes the same port."""
    if host != "::" or config.ipv6_only:
        return False
    from ..options.net_values import ANY, address

    return all(address(text) != ("tcp", ANY, port) for text in config.bind)


def tcp_failure(error, host, port):
    where = f"cannot listen on {in_url(host)}:{port}: "
    if error.errno == errno.EADDRINUSE:
        return AddressInUseError(f"{where}the port is in use; another --port, or 0 for a free one, avoids that")
    if error.errno in (errno.EACCES, errno.EPERM) and port < 1024:
        return StartError(f"{where}permission denied; ports below 1024 need root or CAP_NET_BIND_SERVICE")
    if error.errno == errno.EADDRNOTAVAIL:
        return StartError(f"{where}this machine does not have the address")
    return StartError(where + os.strerror(error.errno).lower() if error.errno else f"{where}{error}")
