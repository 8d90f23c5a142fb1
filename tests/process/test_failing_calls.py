"""Each system call of a master fails once: at its start, when a worker dies, at SIGHUP, at a stop."""

import json
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from faulty_master import ARM

from family import Load, alive, children, wait_for_rolls, wait_for_workers, workers
from harness import HANG, Process, wait_until
from rawsocket import Raw

TIMES = int(os.environ.get("TEST_CALLS", 2))  # how many calls of each function fail, one at a time; 100 for all
TIMES_OF_TWO_PROGRAMS = (TIMES + 1) // 2  # where each takes seconds
# Calls that may fail without a log line: the master repeats them, has an alternative, or does not need them.
SILENT = (
    "os.close", "socket.close", "os.open", "os.pipe2", "os.getcwd", "os.listdir", "os.memfd_create", "os.write",
    "os.unlink", "signal.pthread_sigmask", "_signal.pthread_sigmask", "signal.set_wakeup_fd", "_signal.set_wakeup_fd",
)  # fmt: skip


NAMED = {"app": "faulty_master:app", "app_dir": os.path.dirname(__file__)}


class Faulty:
    """Masters, and the plans for failures in them."""

    def __init__(self, folder):
        self.folder, self.last = folder, 0
        self.servers = []

    def plan(self, phase="armed", call=None, nth=0, times=1):
        self.last += 1
        plan = {"id": self.last, "phase": phase, "call": call, "nth": nth, "times": times}
        (self.folder / "new-plan").write_text(json.dumps(plan))
        (self.folder / "new-plan").rename(self.folder / "plan")
        return self.last

    def command(self, **options):
        program = os.path.join(os.path.dirname(__file__), "faulty_master.py")
        return [sys.executable, program, str(self.folder), json.dumps(options)]

    def start(self, **options):
        server = Process(self.command(**options), self.folder / f"log-{len(self.servers)}", cwd=self.folder)
        self.servers.append(server)
        return server

    def arm(self, server, call=None, nth=0, times=1):
        """Returns the calls made since the last time."""
        number = self.plan("armed", call, nth, times)
        server.popen.send_signal(ARM)
        return self.counts(number)

    def counts(self, number):
        path = self.folder / f"counts-{number}"
        wait_until(path.exists)
        return json.loads(path.read_text())

    def fired(self, number=None):
        return (self.folder / f"fired-{number or self.last}").exists()


@pytest.fixture
def faulty(tmp_path):
    made = Faulty(tmp_path)
    yield made
    for server in made.servers:
        server.end()


def each(counts, times=TIMES):
    """(call, its index) of the calls that were made."""
    assert counts
    return [(call, nth) for call, count in sorted(counts.items()) for nth in range(1, min(count, times) + 1)]


def errors(server):
    return sum(" ERROR " in line for line in server.logs().splitlines())


def test_at_a_workers_death(faulty):
    """The other worker continues; the dead one is replaced, however long that takes."""
    server = faulty.start(workers=2)
    faulty.arm(server)
    victims = []

    def die():
        victim = workers(server)[0]
        victims.append(str(victim))
        os.kill(victim, signal.SIGKILL)
        wait_for_workers(server, 2, without=[victim])
        wait_for_rolls(server, len(victims))

    with Load(server, clients=4, pause=0.01) as load:
        die()
        for call, nth in each(faulty.arm(server)):
            before = errors(server)
            faulty.arm(server, call, nth)
            die()
            if faulty.fired() and call not in SILENT:
                # One line is about the death
                wait_until(lambda before=before: errors(server) >= before + 2, lambda call=call: call + server.logs())
    lost = {last for last, _ in load.failures}
    assert lost <= set(victims), (lost, server.logs())
    assert server.stop() == 0


@pytest.mark.parametrize("phase", ["before exec", "after exec", "no preload"])
def test_at_sighup(faulty, phase):
    """No request is lost, and the next SIGHUP completes what this one may have left undone."""
    importing = {**NAMED, "preload": False} if phase == "no preload" else {}
    server = faulty.start(workers=1, limit_max_requests=1_000_000, **importing)

    def prepare(call=None, nth=0):
        if phase == "after exec":
            faulty.plan("successor", call, nth)
        else:
            faulty.arm(server, call, nth)
        before = workers(server)
        server.popen.send_signal(signal.SIGHUP)
        return faulty.last, before

    with Load(server, clients=3, pause=0.01) as load:
        wait_for_workers(server, 1, without=prepare()[1])
        wait_until(lambda: len(children(server.pid)) == 1, server.logs)
        counts = faulty.counts("exec") if phase == "before exec" else faulty.arm(server)
        for call, nth in each(counts, TIMES if phase == "no preload" else TIMES_OF_TWO_PROGRAMS):
            errors_before, (number, before) = errors(server), prepare(call, nth)

            def replaced(before=before):
                return not set(before) & set(workers(server))

            wait_until(lambda count=errors_before: replaced() or errors(server) > count, server.logs)
            faulty.plan()  # no more failures
            if not replaced():
                server.popen.send_signal(signal.SIGHUP)
            wait_until(lambda: replaced() and len(children(server.pid)) == 1, server.logs)
            load.wait_for_more()
            if faulty.fired(number) and call not in SILENT:
                wait_until(lambda count=errors_before: errors(server) > count, lambda call=call: call + server.logs())
    assert load.failures == [], server.logs()
    assert server.stop() == 0


def test_at_sigusr1(faulty):
    """The master goes on; a worker that cannot be asked for its figures is named."""
    server = faulty.start(workers=2)

    def lines():
        return server.logs().count('"message":"figures"')

    def ask(expected):
        before = lines()
        server.popen.send_signal(signal.SIGUSR1)
        wait_until(lambda: lines() >= before + expected, server.logs)

    faulty.arm(server)
    ask(2)
    for call, nth in each(faulty.arm(server)):
        errors_before = errors(server)
        faulty.arm(server, call, nth)
        ask(1)
        if faulty.fired() and call not in SILENT:
            wait_until(lambda count=errors_before: errors(server) > count, lambda call=call: call + server.logs())
        faulty.arm(server)  # no more failures
        ask(2)
    assert server.stop() == 0


def test_a_signal_mask_that_cannot_be_restored(faulty):
    """Neither by the retry: the workers are forked all the same. Each is replaced, and the master can be stopped."""
    server = faulty.start(workers=2, **NAMED, preload=False)
    before = workers(server)
    faulty.arm(server, "signal.pthread_sigmask", 2, times=2)  # the first one blocks the signals
    server.popen.send_signal(signal.SIGHUP)
    wait_for_workers(server, 2, without=before)
    wait_for_rolls(server, 2)
    assert faulty.fired()
    assert "in the master, after it had started workers: Cannot allocate memory" in server.logs()
    assert "Traceback" not in server.logs()
    assert server.stop() == 0


def test_at_a_stop(faulty):
    """The stop still works: requests in progress are finished, and no process is left."""
    pid = faulty.folder / "pid"
    server = faulty.start(workers=2, pid=str(pid))
    faulty.arm(server)
    assert server.stop() == 0
    for call, nth in each(faulty.counts("end")):
        server = faulty.start(workers=2, pid=str(pid))
        faulty.arm(server, call, nth)
        family = children(server.pid)
        assert server.stop() == 0, (call, nth, server.logs())
        assert faulty.fired() or nth > 1, call
        assert not any(map(alive, family))
        assert call in SILENT or errors(server) or not faulty.fired(), (call, nth, server.logs())
        assert not pid.exists() or not pid.read_text() or faulty.fired(), (call, nth)


def test_at_the_start(faulty):
    """It serves nevertheless, or one line says why not, and no process is left."""
    path, pid = faulty.folder / "socket", faulty.folder / "pid"
    options = {
        "workers": 2,
        "uds_path": str(path),
        "pid": str(pid),
        "umask": 0o22,
        **NAMED,
    }  # a child imports the app first, and reports its threads
    faulty.plan("start")
    server = faulty.start(**options)
    counts = faulty.arm(server)
    assert server.stop() == 0
    log = faulty.folder / "log"
    for call, nth in each(counts):
        faulty.plan("start", call, nth)
        with open(log, "w") as stderr:
            popen = subprocess.Popen(faulty.command(**options), stderr=stderr, cwd=faulty.folder)
        try:
            serves_or_says_why_not(popen, path, log)
            assert not pid.exists() or not pid.read_text() or faulty.fired(), call
            assert faulty.fired() or nth > 1  # the number of calls varies, for example of waits for children
        except AssertionError as failure:
            raise AssertionError(f"{call}, {nth}: {log.read_text()}") from failure
        finally:
            popen.kill()
            popen.wait()


def serves_or_says_why_not(popen, path, log):
    wait_until(lambda: popen.poll() is not None or "listening on" in log.read_text())
    if popen.poll() is None:
        with Raw(SimpleNamespace(url=f"unix:{path}")) as client:
            assert client.get().read_response().status == 200
        popen.terminate()
        assert popen.wait(HANG) == 0
    else:
        assert popen.returncode == 1
        assert len(log.read_text().splitlines()) == 1
        assert log.read_text().startswith("saltare: ")
    assert not path.exists()
