"""Limits by the client's address hold for all workers of a master together."""

import contextlib
import json
import os
import signal
import time
from ipaddress import IPv4Address
from random import Random

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


def test_four_workers_have_one_bucket_for_a_client(cli_server, raw):
    """And random addresses between its requests change nothing, nor does a worker that is killed."""
    limits = ("--rate-limit-per-sec", "1", "--rate-limit-burst", "400")
    server = cli_server("worker_apps:app", "--workers", "4", *limits)
    clients, random = {}, Random(5)

    def stranger():
        return IPv4Address(random.getrandbits(32))

    def connect():
        """Connects until each worker has a client; returns whether that is so."""
        client = raw(server)
        clients[int(client.get("/pid", f"X-Forwarded-For: {stranger()}").read_response().body)] = client
        return len(clients) == 4

    def statuses(address, n):
        """Of n requests, spread over the workers."""
        all = list(clients.values())
        for i in range(n):
            yield all[i % 4].get("/pid", f"X-Forwarded-For: {address}").read_response().status

    wait_until(connect)
    began = time.monotonic()
    seen = []
    for _ in range(10):
        seen += statuses("192.0.2.1", 50)
        assert set(statuses(stranger(), 1)) == {200}
    got, most = seen.count(200), 400 + time.monotonic() - began + 1
    assert seen[:400] == [200] * 400 and got <= most
    killed = next(iter(clients))
    os.kill(killed, signal.SIGKILL)
    wait_for_workers(server, 4, without=[killed])
    clients.clear()
    wait_until(connect)
    seen = list(statuses("192.0.2.1", 200))
    assert seen.count(200) <= 400 + time.monotonic() - began + 1 - got
