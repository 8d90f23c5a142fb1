"""No request is lost while gunicorn replaces its workers, or itself."""

import os
import signal

import pytest

from family import Load, children, killed_at_the_end, maps, wait_for_end
from harness import wait_until

pytest.importorskip("gunicorn.config")


# ---- no request is lost ----


def test_reloads_under_load_lose_no_request(gunicorn):
    rolls = int(os.environ.get("TEST_ROLLS", 2))  # 10 for a longer run
    server = gunicorn("-w", "2", "--max-requests", "500", "--max-requests-jitter", "200")
    with Load(server, clients=4) as kept, Load(server, clients=2, keep=False) as closing:
        for _ in range(rolls):
            before = server.workers()
            server.popen.send_signal(signal.SIGHUP)
            wait_until(lambda before=before: len(server.workers()) == 2 and not set(before) & set(server.workers()))
            kept.wait_for_more(300)
            closing.wait_for_more(50)
        server.wait_for_log("requests, the arbiter replaces this worker")
        kept.wait_for_more(100)
    assert kept.failures == closing.failures == []


def test_a_new_arbiter_takes_over_under_load(gunicorn, tmp_path):
    """SIGUSR2: two arbiters serve, then the old one stops."""
    pids = tmp_path / "pid", tmp_path / "pid.2"
    server = gunicorn("-w", "1", "-c", "gunicorn_hooks.py", "--pid", pids[0])
    old = server.wait_for_workers(1)
    with Load(server, clients=2) as kept, Load(server, clients=2, keep=False) as closing:
        server.popen.send_signal(signal.SIGUSR2)
        wait_until(pids[1].exists)
        with killed_at_the_end(int(pids[1].read_text())) as arbiter:
            wait_until(lambda: len(children(arbiter)) == 1)
            new = children(arbiter)
            server.wait_for_log(f"(pid {new[0]}, plain core)")
            assert old == [pid for pid in server.workers() if pid != arbiter]
            server.popen.send_signal(signal.SIGTERM)
            assert server.wait() == 0
            kept.wait_for_answers_of(new)
            closing.wait_for_answers_of(new)
            assert "_core" not in maps(arbiter)
            assert "pre_exec" in server.reported(arbiter)
            kept.__exit__()
            closing.__exit__()
            os.kill(arbiter, signal.SIGTERM)
            wait_for_end([arbiter, *new])
    assert kept.failures == closing.failures == []


def test_the_workers_of_the_old_arbiter_leave_and_come_back_under_load(gunicorn, tmp_path):
    """SIGUSR2, then SIGWINCH, which arbiters of daemons obey, and SIGHUP because the new arbiter is not wanted."""
    conf = tmp_path / "conf.py"
    conf.write_text("def when_ready(server): server.cfg.set('daemon', True)\n")
    pids = tmp_path / "pid", tmp_path / "pid.2"
    server = gunicorn("-w", "2", "-c", conf, "--pid", pids[0])
    old = server.wait_for_workers(2)
    with Load(server, clients=2) as kept, Load(server, clients=2, keep=False) as closing:
        server.popen.send_signal(signal.SIGUSR2)
        wait_until(pids[1].exists)
        with killed_at_the_end(int(pids[1].read_text())) as arbiter:
            wait_until(lambda: len(children(arbiter)) == 2)
            new = children(arbiter)
            for pid in new:
                server.wait_for_log(f"(pid {pid}, plain core)")
            server.popen.send_signal(signal.SIGWINCH)
            wait_for_end(old)
            assert server.workers() == [arbiter]
            kept.wait_for_answers_of(new)
            closing.wait_for_answers_of(new)
            server.popen.send_signal(signal.SIGHUP)
            wait_until(lambda: len(server.workers()) == 3)
            back = [pid for pid in server.workers() if pid != arbiter]
            for pid in back:
                server.wait_for_log(f"(pid {pid}, plain core)")
            os.kill(arbiter, signal.SIGTERM)
            wait_for_end(new)
            kept.wait_for_answers_of(back)
            closing.wait_for_answers_of(back)
    assert kept.failures == closing.failures == []


# ---- reload ----


def test_reload_serves_the_changed_file(gunicorn, tmp_path):
    """Also after a syntax error, which gunicorn shows as a page."""
    module = tmp_path / "edited.py"
    good = "from gunicorn_apps import app as inner\nasync def app(*args):\n    await inner(*args)\n"
    module.write_text(good)
    server = gunicorn("--reload", "--pythonpath", tmp_path, app="edited:app")
    (first,) = server.wait_for_workers(1)
    module.write_text("def app(:\n")
    (second,) = server.wait_for_workers(1, without=[first])
    answer = server.get()
    assert answer.status == 500
    assert b"SyntaxError" in answer.body
    module.write_text(good + "# whole again\n")
    (third,) = server.wait_for_workers(1, without=[second])
    assert server.get().body == b"%d" % third
