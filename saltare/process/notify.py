"""sd_notify(3): what the server reports to systemd, or to another supervisor that sets NOTIFY_SOCKET.

Imported only where that is set. A report that cannot be sent is logged at debug and changes nothing.
"""

import os
import socket
import time

from .. import log

PATIENCE = 1.0  # seconds to wait for a supervisor that does not read its reports
LEAST_INTERVAL = 0.001  # seconds between two reports to the watchdog


class Notifier:
    """Reports of one process. `interval` is the seconds between two calls of `alive`; None: nobody waits for them."""

    def __init__(self, environ=os.environ):
        path = environ["NOTIFY_SOCKET"]
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self.interval = watchdog_interval(environ)
        self.reloads = False  # between `reloading` and `ready`
        self._timer = None

    def ready(self):
        self.reloads = False
        self._send("READY=1")

    def reloading(self):
        self.reloads = True
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self):
        """A stop for a new program is a part of the reload: systemd would kill the new program."""
        if not self.reloads:
            self._send("STOPPING=1")

    def alive(self):
        self._send("WATCHDOG=1", 0)

    def keep_alive(self, loop):
        """Reports to the watchdog from the loop, so that a loop that is blocked for too long is noticed."""
        if self.interval is not None:
            self.alive()
            self._timer = loop.call_later(self.interval, self.keep_alive, loop)

    def close(self):
        """Returns None."""
        if self._timer is not None:
            self._timer.cancel()

    def _send(self, text, patience=PATIENCE):
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as supervisor:
                supervisor.settimeout(patience)
                supervisor.sendto(text.encode(), self._address)
        except OSError as error:
            log.debug(f"cannot report {text.partition('=')[0]} to NOTIFY_SOCKET: {error}")


def watchdog_interval(environ):
    """Half of WATCHDOG_USEC, in seconds, if it is meant for this process; else None."""
    usec = environ.get("WATCHDOG_USEC", "")
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()) or not usec.isdecimal() or int(usec) == 0:
        return None
    return max(int(usec) / 2e6, LEAST_INTERVAL)
