"""Very many peers that send as slowly as possible: the server ends all of them, and other clients notice nothing.

BUDGET_ATTACKERS in the environment sets the number of each kind: 1,000 by default, 5,000 before a release.
"""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from measure import held

from harness import HANG, wait_until
from rawsocket import Raw

ATTACK = Path(__file__).parents[2] / "benchmarks" / "attackers.py"
ATTACKERS = int(os.environ.get("BUDGET_ATTACKERS", "1000"))
TIMEOUT = 3  # seconds, of heads and of bodies
PATIENCE = 60  # seconds; the server may be slow on a busy machine, but must end all of them
SLACK = 4096  # KiB by which the process may grow for any other reason
HEAD = 512 + 128  # bytes: a buffer for the partial head, and the record of a connection
BODY = 128 + 128 + 5 * 1024  # bytes: two records, and the app's task with its scope and frames, 3.3 KiB on Python 3.11
BODIES = {"declared", "chunked", "silent", "trickling"}


@pytest.fixture
def attack():
    """A function that starts an attack with that many heads and bodies, and returns when all are connected."""
    attacks = []

    def begin(server, **counts):
        words = [
            sys.executable,
            str(ATTACK),
            str(server.port),
            "--pause",
            str(TIMEOUT / 3),
            "--patience",
            str(PATIENCE),
        ]
        words += [word for kind, count in counts.items() for word in (f"--{kind}", str(count))]
        popen = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        attacks.append(popen)
        assert popen.stdout.readline() == "up\n"
        return popen

    yield begin
    for popen in attacks:
        popen.kill()
        popen.communicate()


def enough_descriptors(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        pytest.skip(f"only {hard} descriptors are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))


def refused(attack, count):
    """The kinds of attackers so far; all of them must have been ended with a 408 response."""
    said, _ = attack.communicate(timeout=PATIENCE + HANG)
    kinds = json.loads(said)
    assert sum(kind["begun"] for kind in kinds.values()) == count
    assert all(kind["refused"] == kind["begun"] and kind["other"] == 0 for kind in kinds.values()), kinds
    return kinds.keys()


def ask(peer, *fields):
    answer = peer.get("/", *fields).read_response()
    assert (answer.status, answer.body) == (200, b"hello")


def live(server):
    with Raw(server) as peer:
        return json.loads(peer.get("/live").read_response().body)


def normal_use(server, attacks):
    """Sends requests on a kept and on a new connection until the attacks are over; returns the peak of private memory in KiB."""
    asked, peak = 0, 0
    with Raw(server) as kept:
        while asked < 200 or any(attack.poll() is None for attack in attacks):
            ask(kept)
            with Raw(server) as peer:
                ask(peer, "Connection: close")
                assert peer.read_all() == b""
            asked += 2
            if asked % 100 == 0:
                peak = max(peak, held(server.pid)[1])
    return peak


def test_slow_peers(cli_server, attack):
    enough_descriptors(2 * ATTACKERS + 200)
    limits = ("--header-timeout", TIMEOUT, "--body-timeout", TIMEOUT, "--max-keepalive-requests", 0)
    server = cli_server("app_slow:app", "--max-concurrent-connections", 2 * ATTACKERS + 100, *limits)
    normal_use(server, [])
    at_first, (_, before) = live(server), held(server.pid)

    attacks = [attack(server, heads=ATTACKERS), attack(server, bodies=ATTACKERS)]
    peak = normal_use(server, attacks)

    assert refused(attacks[0], ATTACKERS) == {"head"}
    assert refused(attacks[1], ATTACKERS) == BODIES
    wait_until(lambda: live(server) == at_first, lambda: f"the core holds {live(server)}, {at_first} at first")
    normal_use(server, [])
    bound = SLACK + ATTACKERS * (HEAD + BODY) / 1024
    assert peak - before <= bound, f"{peak - before} KiB more, {bound} allowed"
