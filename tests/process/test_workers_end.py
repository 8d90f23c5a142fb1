"""A worker that dies, an app that does not start, and how the master reacts."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from family import (
    Load,
    alive,
    state,
    wait_for_workers,
    workers,
)
from harness import wait_until

# ---- the death of a worker ----


def test_a_killed_worker_loses_only_what_was_in_it(cli_server):
    server = cli_server("worker_apps:app", "--workers", "3")
    pids = workers(server)
    with Load(server) as kept, Load(server, keep=False, clients=3) as closing:
        kept.wait_for_answers_of(pids)
        victim = pids[0]
        os.kill(victim, signal.SIGKILL)
        now = wait_for_workers(server, 3, without=[victim])
        kept.wait_for_more(200)
        closing.wait_for_more(100)
        (new,) = set(now) - set(pids)
        wait_until(lambda: str(new) in closing.answers, server.logs)
    assert {last for last, error in kept.failures} <= {str(victim)}
    assert len(kept.failures) <= 6
    assert len(closing.failures) <= 3
    assert f"worker 1 (pid {victim}) was killed by SIGKILL" in server.logs()
    assert server.stop() == 0


@pytest.mark.parametrize("which", [0, 1])
def test_what_a_stopped_worker_does_not_accept_is_taken_by_another(cli_server, raw, marks, which):
    """Also when it was killed, and although its replacement does not start to serve."""
    server = cli_server("worker_apps:app", "--workers", "2", env={**marks.env, "STARTUP": "hangs,3"})
    pids = workers(server)
    stopped = pids.pop(which)
    os.kill(stopped, signal.SIGSTOP)
    client = raw(server).get("/pid")
    time.sleep(0.3)
    os.kill(stopped, signal.SIGKILL)
    assert client.read_response().body == str(*pids).encode()
    server.wait_for_log("was killed by SIGKILL")
    assert server.stop() == 0


def test_sys_exit_in_a_handler_is_a_mistake_of_the_app(cli_server, raw):
    """The exception ends the request, not the worker."""
    server = cli_server("worker_apps:app", "--workers", "2")
    before = workers(server)
    assert raw(server).get("/exits/3").read_response().status == 500
    server.wait_for_log("SystemExit: 3")
    assert raw(server).get("/pid").read_response().status == 200
    assert workers(server) == before


DEATHS = {
    "leaves/5": "ended with exit code 5",
    "segfaults": "was killed by SIGSEGV",
    "is_killed": "was killed by SIGKILL",
}


@pytest.mark.parametrize("how", DEATHS)
def test_a_worker_that_dies_is_replaced(cli_server, raw, how):
    server = cli_server("worker_apps:app", "--workers", "2")
    before = workers(server)
    assert raw(server).get(f"/{how}").read_all() == b""
    server.wait_for_log(DEATHS[how])
    wait_until(lambda: len(set(workers(server)) - set(before)) == 1)
    server.wait_for_log(") serves")
    for _ in range(10):
        assert raw(server).get("/pid").read_response().status == 200
    if how == "segfaults":
        assert "Fatal Python error: Segmentation fault" in server.logs()
    assert state(before[0]) != "Z"
    assert server.stop() == 0


@pytest.mark.parametrize(("how", "code"), [("leaves/5", 5), ("segfaults", 128 + 11), ("is_killed", 128 + 9)])
def test_worker_failure_exit_ends_all_with_its_code(cli_server, raw, how, code):
    server = cli_server("worker_apps:app", "--workers", "2", "--worker-failure", "exit")
    pids = workers(server)
    raw(server).get(f"/{how}").read_all()
    assert server.wait() == code
    assert not any(map(alive, pids))


def test_workers_that_die_at_once_make_no_storm(cli_server, raw, marks):
    """The first workers serve; all later ones die during their start."""
    server = cli_server("worker_apps:app", "--workers", "2", env={**marks.env, "STARTUP": "leaves,3"})
    (survivor,) = workers(server)[1:]
    os.kill(workers(server)[0], signal.SIGKILL)
    wait_until(lambda: marks("startup") >= 4)
    time.sleep(2)
    assert marks("startup") <= 8  # the pauses double from a quarter of a second
    assert raw(server).get("/pid").read_response().body == str(survivor).encode()
    assert server.stop() == 0


def test_a_worker_that_does_not_start_in_time_is_killed(cli_server, raw, marks):
    options = ["--workers", "1", "--limit-worker-lifetime", "3600", "--worker-start-timeout", "500ms"]
    server = cli_server("worker_apps:app", *options, env={**marks.env, "STARTUP": "hangs,2"})
    (first,) = workers(server)
    os.kill(first, signal.SIGKILL)
    server.wait_for_log("did not start within 0.5 s: killing it")
    wait_until(lambda: marks("startup") >= 3)  # it keeps trying
    assert server.stop() == 0


def test_a_worker_that_has_not_started_does_not_delay_a_stop(cli_server, tmp_path):
    """Even if it ignores SIGTERM and may take long: it has no requests to finish."""
    app = tmp_path / "later.py"
    app.write_text("from worker_apps import app")
    server = cli_server(
        "later:app",
        "--workers",
        "1",
        "--no-preload",
        "--limit-worker-lifetime",
        "3600",
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parent)},
    )
    app.write_text(
        "import signal, time\nfrom pathlib import Path\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nPath('hangs').touch()\ntime.sleep(3600)"
    )
    os.kill(workers(server)[0], signal.SIGKILL)
    wait_until((tmp_path / "hangs").exists)
    server.popen.send_signal(signal.SIGTERM)
    server.popen.wait(20)  # less than --shutdown-timeout
    assert "did not end in time: killing it" in server.logs()


def test_first_workers_that_do_not_start_in_time_end_it(ended, marks):
    code, log = ended(
        "worker_apps:app", "--workers", 2, "--worker-start-timeout", "500ms", **marks.env, STARTUP="hangs"
    )
    assert code == 3
    assert "did not start within 0.5 s: killing it" in log
    assert marks("startup") == 2


# ---- an app that does not start ----


@pytest.mark.parametrize("preload", ["--preload", "--no-preload"])
@pytest.mark.parametrize(
    ("source", "said", "traced"),
    [
        ("raise ValueError('of the app')", 'importing "broken" failed: ValueError: of the app', 1),
        ("def app(:", 'importing "broken" failed: SyntaxError', 0),
        ("import sys; sys.exit(4)", 'importing "broken" ended in sys.exit(4)', 1),
        ("app = 7", 'app "broken:app" is of type int, which cannot be called', 0),
    ],
    ids=["raises", "syntax", "exits", "no-app"],
)
def test_an_import_that_fails_is_shown_once(ended, tmp_path, preload, source, said, traced):
    (tmp_path / "broken.py").write_text(source)
    code, log = ended("broken:app", "--workers", 4, preload, cwd=tmp_path)
    assert code == 3
    assert log.count(said) == 1, log
    assert log.count("Traceback") == traced, log


@pytest.mark.parametrize(
    ("source", "code"), [("os._exit(9)", 3), ("ctypes.string_at(0)", 3)], ids=["os._exit", "segfault"]
)
def test_an_import_that_ends_the_worker(ended, tmp_path, source, code):
    (tmp_path / "broken.py").write_text(f"import ctypes, os\n{source}")
    got, log = ended("broken:app", "--workers", 2, "--no-preload", cwd=tmp_path)
    assert got == code
    assert log.count("before it served") == 1


def test_an_import_that_ends_the_master(ended, tmp_path):
    (tmp_path / "broken.py").write_text("import os\nos._exit(9)")
    assert ended("broken:app", "--workers", 2, cwd=tmp_path)[0] == 9


def test_options_that_contradict_end_it_before(ended):
    code, log = ended("worker_apps:app", "--workers", "2", "--reload")
    assert code == 2
    assert "one worker" in log


def test_a_port_in_use_ends_it_once(ended):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, "-m", "saltare", "worker_apps:app", "--workers", "2"]
        done = subprocess.run(
            [*command, "--port", str(taken.getsockname()[1])],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1 and "the port is in use" in done.stderr


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("fails", "the database is away"),
        ("raises", "start-up goes wrong"),
        ("leaves", "ended with exit code 7 before it served"),
    ],
)
def test_a_lifespan_that_goes_wrong_in_all(ended, marks, way, said):
    code, log = ended("worker_apps:app", "--workers", 3, "--lifespan", "on", **marks.env, STARTUP=way)
    assert code == 3
    assert said in log
    assert log.count("Traceback") == (way == "raises")
    assert log.count(said) == 1 + (way == "raises")
    assert marks("startup") <= 3


@pytest.mark.parametrize("way", ["fails", "raises", "hangs", "leaves"])
def test_a_lifespan_that_goes_wrong_in_one_of_the_first(ended, marks, way):
    """Continuing with the others would be of no use."""
    options = ["--workers", 3, "--lifespan", "on", "--worker-start-timeout", "1s"]
    code, log = ended("worker_apps:app", *options, **marks.env, STARTUP=f"{way},3")
    assert code == 3, log
    assert "before it served" in log
    assert marks("startup") == 3


@pytest.mark.parametrize("way", ["fails", "raises", "hangs"])
def test_a_lifespan_that_goes_wrong_in_a_later_one(cli_server, raw, marks, way):
    """The others serve, and the start is retried."""
    options = ["--workers", "2", "--lifespan", "on", "--worker-start-timeout", "500ms"]
    server = cli_server("worker_apps:app", *options, env={**marks.env, "STARTUP": f"{way},3"})
    first, second = workers(server)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: marks("startup") >= 4, server.logs)
    assert raw(server).get("/pid").read_response().body == str(second).encode()
    assert server.stop() == 0
