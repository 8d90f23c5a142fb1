"""Limits by the client's address hold for all workers of a master together."""

import contextlib
import json
import os
import signal

from family import wait_for_workers
from harness import wait_until
from rawsocket import Raw


class Clients:
    """Connections that stay open: `serves()` adds one and returns the worker that serves it, or None for a reset."""

    def __init__(self, server, stack):
        self.server, self.stack, self.open = server, stack, []

    def serves(self):
        try:
            client = self.stack.enter_context(Raw(self.server))
            pid = json.loads(client.get("/where").read_response().body)["pid"]
        except (ConnectionResetError, BrokenPipeError):
            return None
        self.open.append((pid, client))
        return pid

    def end(self, which):
        """Closes those whose worker's pid fits."""
        for pid, client in [one for one in self.open if which(one[0])]:
            client.close()
            self.open.remove((pid, client))


def test_connections_of_one_address_to_four_workers(cli_server):
    """The workers count as one, and what a killed one has counted ends with it."""
    server = cli_server("worker_apps:app", "--workers", "4", "--max-connections-per-ip", "8", "--no-proxy-headers")
    with contextlib.ExitStack() as stack:
        clients = Clients(server, stack)
        pids = [clients.serves() for _ in range(8)]
        assert None not in pids and len(set(pids)) > 1
        assert clients.serves() is None and clients.serves() is None
        os.kill(pids[0], signal.SIGKILL)
        wait_for_workers(server, 4, without=[pids[0]])
        clients.end(lambda pid: pid == pids[0])
        while len(clients.open) < 8:
            wait_until(clients.serves)
        assert clients.serves() is None
        clients.end(lambda pid: True)
        wait_until(clients.serves)
