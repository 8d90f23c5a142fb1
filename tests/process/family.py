"""A master and its workers, seen from outside: their pids, what they hold, and clients that notice every loss."""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

from harness import wait_until
from rawsocket import Raw


def stat(pid):
    """The fields of /proc/PID/stat from the third on; [] when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def state(pid):
    """R, S, Z and so on; "" when there is no such process."""
    return (stat(pid) or [""])[0]


def alive(pid):
    return state(pid) not in ("", "Z", "X")


def children(pid):
    """The pids of the process's children, zombies included."""
    numbers = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return sorted(one for one in numbers if stat(one)[1:2] == [str(pid)])


def name(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def command_line(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()


def workers(server):
    """The pids of the master's workers, by the number in their title."""
    named = [(name(pid), pid) for pid in children(server.pid) if alive(pid)]
    return [pid for title, pid in sorted(named) if title.startswith("saltare:wkr")]


def wait_for_workers(server, count, without=()):
    """The workers, once there are that many and none of `without` is left."""
    seen = []

    def there():
        seen[:] = workers(server)
        return len(seen) == count and not set(without) & set(seen)

    wait_until(there, lambda: f"workers: {seen}, not {count} without {without}\n{server.logs()}")
    return seen


def wait_for_end(pids):
    wait_until(
        lambda: not any(map(alive, pids)), lambda: f"still there: {[(one, name(one)) for one in pids if alive(one)]}"
    )


def wait_for_rolls(server, count, word="serves"):
    """Waits until the log has that many lines about a worker's start, in addition to those of the first start."""
    wait_until(
        lambda: server.logs().count(f") {word}") >= count,
        lambda: f"not {count} times {word!r}:\n{server.logs()}",
    )


def wait_for_answer_of(server, pid, target="/"):
    """Until a response names the worker. Each connection goes to the worker with the fewest, so all are kept open."""
    with contextlib.ExitStack() as kept:

        def answers():
            client = kept.enter_context(Raw(server))
            return client.get(target).read_response().body == str(pid).encode()

        wait_until(answers, lambda: f"no answer of {pid}")


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def maps(pid):
    return Path(f"/proc/{pid}/maps").read_text()


@contextlib.contextmanager
def killed_at_the_end(pid):
    try:
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class Load:
    """Clients that send requests while the block runs. They replace a kept connection only when a response says so.

    `answers` has the bodies in order, `failures` what went wrong: (body of the client's last response, error).
    """

    def __init__(self, server, clients=6, target="/pid", keep=True, pause=0.002):
        self.answers, self.failures = [], []
        self._server, self._target, self._keep, self._pause = server, target, keep, pause
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def _ask(self):
        fields = [] if self._keep else ["Connection: close"]
        client, last = None, None
        while not self._over.is_set():
            try:
                client = client or Raw(self._server)
                answer = client.get(self._target, *fields).read_response()
                assert answer.status == 200, answer
                last = answer.body.decode()
                self.answers.append(last)
                goes_on = answer.get("connection") != "close"
            except (OSError, EOFError, AssertionError) as error:
                self.failures.append((last, repr(error)))
                goes_on = False
            if client and not goes_on:
                client.close()
                client = None
            time.sleep(self._pause)
        if client:
            client.close()

    def wait_for_more(self, count=20):
        wanted = len(self.answers) + count
        wait_until(lambda: len(self.answers) >= wanted, lambda: f"no more answers; failures: {self.failures[:3]}")

    def wait_for_answers_of(self, pids):
        for pid in pids:
            wait_until(lambda pid=pid: str(pid) in self.answers, lambda pid=pid: f"no answer of {pid}")

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        self.wait_for_more()
        return self

    def __exit__(self, *exc):
        self._over.set()
        for thread in self._threads:
            thread.join()


def watches(pid):
    """How many folders it watches (inotify(7): fdinfo); 0 when it has ended."""
    try:
        return sum(text.count("inotify wd") for text in map(Path.read_text, Path(f"/proc/{pid}/fdinfo").iterdir()))
    except OSError:
        return 0


def watcher(server, folder=None):
    """The pid of the program that watches, once it watches all folders in this one."""
    wanted = len(list(os.walk(folder))) if folder else 1
    return next((pid for pid in children(server.pid) if watches(pid) >= wanted), None)
