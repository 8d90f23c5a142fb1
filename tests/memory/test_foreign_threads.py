"""No call of a native library's thread is interrupted by what the server does for its memory."""

import os
import struct

import pytest

from harness import wait_until

KINDS = ("poll", "epoll_wait", "select", "nanosleep", "usleep", "sem_timedwait", "recv")  # in the order of sleepers.c
ROUNDS = 1000
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("folder", [None, "memory"], ids=["parked", "shared"])
@pytest.mark.parametrize("kind", [*KINDS, "turns"])
def test_no_call_is_interrupted(program, library, folder, kind):
    """A server that parks its memory again and again."""
    done = program("beside_sleeper", folder, SLEEPERS=library("sleepers"), SLEEPER=kind)
    assert (done.returncode, done.stdout) == (0, "right\n"), done.stderr


def counts(path):
    """By kind: (rounds, how many of them were interrupted)."""
    return list(struct.iter_unpack("ll", path.read_bytes()))[: len(KINDS)]


@pytest.mark.parametrize("begin", ["import", "request"])
@pytest.mark.parametrize("parks", [False, True], ids=["workers", "parked"])
def test_no_call_is_interrupted_in_a_server(cli_server, raw, library, disk, tmp_path, begin, parks):
    """From the import of the app to the quiet period after a request."""
    path = tmp_path / "counts"
    environment = {**os.environ, "SLEEPERS": library("sleepers"), "SLEEPERS_COUNTS": path, "SLEEPERS_BEGIN": begin}
    options = ["--park-memory", disk] if parks else ["--workers", 2, "--preload"]  # although it has threads
    server = cli_server("sleeping_apps:app", *options, "--log-level", "debug", env=environment)
    assert raw(server).get().read_response().body == b"sleeping"
    before = counts(path)

    def have_slept(rounds):
        return all(now - then >= rounds for (now, _), (then, _) in zip(counts(path), before, strict=True))

    for rounds in range(ROUNDS // 10, ROUNDS + 1, ROUNDS // 10):  # each within its own time limit, for busy machines
        wait_until(lambda rounds=rounds: have_slept(rounds), lambda: counts(path))
    assert [interrupted for _, interrupted in counts(path)] == [0] * len(KINDS)
    why = "workers share only what fork shares: " if not parks else "memory is not parked: "
    server.wait_for_log(why if begin == "import" else "memory is not parked again: ")  # so it was tried
    assert raw(server).get().read_response().body == b"sleeping"
    # Before the stop: the kernel may hand SIGTERM to any thread.
    assert [interrupted for _, interrupted in counts(path)] == [0] * len(KINDS)
    assert server.stop() == 0
