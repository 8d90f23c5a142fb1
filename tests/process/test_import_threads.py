"""Threads that an app starts at import: with several workers its requests still get responses."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from family import Load, children, maps, name, wait_for_workers, workers
from harness import Process, wait_until
from rawsocket import Raw
from saltare.prefork.lost_threads import started_since, tasks

HERE = Path(__file__).parent
LIBRARY = r"""
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>
static _Atomic int count;
static void *turn(void *argument)
{
    for (;;) {
        usleep(500);
        atomic_fetch_add(&count, 1);
    }
    return argument;
}
int rounds(void) { return atomic_load(&count); }
int start(void)
{
    pthread_t thread;
    int failed = pthread_create(&thread, NULL, turn, NULL);
    if (!failed) pthread_setname_np(thread, "of-a-library");
    return failed;
}
"""
KINDS = {"python": ("of a thread", "answering"), "native": ("of a library", "of-a-library of libcounting.so")}
KIND = pytest.mark.parametrize("kind", KINDS)
SAID = "threads do not survive the fork of a worker: each worker imports the app itself"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("library")
    (folder / "counting.c").write_text(LIBRARY)
    command = ["cc", "-shared", "-fPIC", "-pthread", "counting.c", "-o", "libcounting.so"]
    subprocess.run(command, cwd=folder, check=True)
    return str(folder / "libcounting.so")


@pytest.fixture
def start(cli_server, library):
    def started(kind, *options, **popen):
        return cli_server("thread_apps:app", *options, env={"KIND": kind, "LIBRARY": library}, **popen)

    return started


def ask(server, path="/"):
    with Raw(server) as client:
        return client.get(path, "Connection: close").read_response().body.decode()


def answers_of_all(server, expected):
    """Each worker responds, and its response needs the thread."""
    pids = set(map(str, workers(server)))
    seen = set()
    while not pids <= seen:
        with Raw(server) as client:
            assert client.get("/").read_response().body.decode() == expected
            seen.add(client.get("/imported").read_response().body.decode())


@KIND
def test_each_worker_imports(start, kind):
    """Without any option of the user; the log names the threads once."""
    answer, thread = KINDS[kind]
    server = start(kind, "--workers", "2")
    answers_of_all(server, answer)
    assert server.logs().count(f"starts threads at import ({thread}), and {SAID}") == 1
    assert server.logs().count("listening on") == 1
    assert "libcounting" not in maps(server.pid)  # the master has not imported it
    assert len(os.listdir(f"/proc/{server.pid}/task")) == 1
    assert name(server.pid) == "saltare:master"
    assert server.stop() == 0


@KIND
def test_no_preload_says_nothing(start, kind):
    server = start(kind, "--workers", "2", "--no-preload")
    answers_of_all(server, KINDS[kind][0])
    assert "threads" not in server.logs()


@KIND
def test_preload_forks_all_the_same(start, kind):
    """A user who asks for the fork gets it, with a warning."""
    server = start(kind, "--workers", "2", "--preload")
    assert ask(server, "/imported") == str(server.pid)
    server.wait_for_log(f"has started threads at import ({KINDS[kind][1]})")
    assert "with --no-preload" in server.logs()


def test_threads_of_one_name_are_counted():
    over = threading.Event()
    before = tasks()
    threads = [threading.Thread(target=over.wait, name=name) for name in ("pool", "one", "pool", "pool")]
    for thread in threads:
        thread.start()
    try:
        assert started_since(before) == ["one", "3 x pool"]
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_without_threads_the_master_imports(start):
    server = start("", "--workers", "2")
    assert ask(server, "/imported") == str(server.pid)
    assert "threads" not in server.logs()


def test_a_pool_that_knows_about_fork_is_no_reason(start):
    """numpy's OpenBLAS: its threads start again where they are needed."""
    pytest.importorskip("numpy")
    if len(os.sched_getaffinity(0)) == 1:
        pytest.skip("on one CPU it has no pool")
    server = start("numpy", "--workers", "2")
    assert ask(server, "/imported") == str(server.pid)
    assert "threads" not in server.logs()
    for _ in range(20):
        assert ask(server) == "600"


@KIND
def test_new_code_takes_over(start, kind):
    """No request is lost where each worker imports the app because of threads."""
    server = start(kind, "--workers", "2")
    before = workers(server)
    with Load(server, clients=2, target="/") as load:
        server.popen.send_signal(signal.SIGHUP)
        wait_for_workers(server, 2, without=before)
        load.wait_for_more(100)
    assert load.failures == []
    answers_of_all(server, KINDS[kind][0])
    assert server.stop() == 0


def test_new_code_that_starts_threads(cli_server, tmp_path):
    """The new master starts over once more; its workers serve meanwhile."""
    source = (HERE / "thread_apps.py").read_text()
    (tmp_path / "edited.py").write_text(source)
    server = cli_server("edited:app", "--workers", "2", cwd=tmp_path)
    before = workers(server)
    with Load(server, clients=2, target="/") as load:
        (tmp_path / "edited.py").write_text(source.replace("KIND = os", 'KIND = "python" or os'))
        server.popen.send_signal(signal.SIGHUP)
        wait_for_workers(server, 2, without=before)
        wait_until(lambda: "of a thread" in load.answers, server.logs)
    assert load.failures == []
    answers_of_all(server, "of a thread")
    assert SAID in server.logs()
    wait_until(lambda: len(children(server.pid)) == 2)  # the workers of before have been waited for
    assert server.stop() == 0


@KIND
def test_a_program_is_not_run_twice(tmp_path, library, kind):
    """run("module:app"): a child detects it, and the master has no such thread."""
    env = {**os.environ, "KIND": kind, "LIBRARY": library}
    command = [sys.executable, HERE / "thread_apps.py", "name"]
    env["PYTHONPATH"] = str(HERE)
    server = Process(command, tmp_path / "log", cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True)
    answers_of_all(server, KINDS[kind][0])
    assert SAID in server.logs()
    assert server.stop() == 0
    assert server.popen.stdout.read() == "the program runs\n"


def test_an_app_that_is_an_object(tmp_path):
    """The app cannot be imported by name, so the workers are forked. Its thread existed before any check."""
    command = [sys.executable, HERE / "thread_apps.py", "object"]
    server = Process(command, tmp_path / "log", cwd=tmp_path, env={**os.environ, "KIND": ""})
    assert ask(server) == "of nobody"
    assert server.stop() == 0
