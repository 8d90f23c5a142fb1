"""Several workers: what the master is and does while they serve, and what becomes of each that ends. Per process."""

import collections
import json
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
    children,
    command_line,
    descriptors,
    maps,
    name,
    state,
    wait_for_end,
    wait_for_rolls,
    wait_for_workers,
    workers,
)
from harness import wait_until
from rawsocket import Raw

CONNECTION_COUNTS = [8, 64]


@pytest.fixture
def marks(tmp_path):
    """A folder in which worker_apps notes what happens, and a function that counts."""
    folder = tmp_path / "marks"
    folder.mkdir()

    def count(what):
        return len(list(folder.glob(f"{what}-*")))

    count.env = {"MARKS": str(folder)}
    return count


@pytest.fixture
def ended(request, tmp_path):
    """Runs a server that is to end by itself; gives its exit code and what it logged."""

    def run(app, *args, **env):
        command = [sys.executable, "-m", "saltare", app, "--port", "0", *map(str, args)]
        cwd = env.pop("cwd", request.path.parent)
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )
        return done.returncode, done.stderr

    return run


def look(client):
    return json.loads(client.get("/where").read_response().body)


# ---- the master ----


def test_the_master_never_loads_the_core(cli_server):
    server = cli_server("worker_apps:app", "--workers", "2")
    assert "_core" not in maps(server.pid)
    pids = wait_for_workers(server, 2)
    assert all("_core" in maps(pid) for pid in pids)
    server.popen.send_signal(signal.SIGHUP)
    wait_for_workers(server, 2, without=pids)
    assert "_core" not in maps(server.pid)


def test_start_up_is_one_line(cli_server):
    server = cli_server("worker_apps:app", "--workers", "3")
    assert len(workers(server)) == 3  # all serve when the line is written
    (line,) = server.logs().splitlines()
    assert f"(pid {server.pid}, 3 workers, " in line


def test_zero_workers_are_as_many_as_there_are_cpus(cli_server):
    server = cli_server("worker_apps:app", "--workers", "0")
    assert len(workers(server)) == min(4, len(os.sched_getaffinity(0)))


def test_preload_imports_once(cli_server, raw, marks):
    server = cli_server("worker_apps:app", "--workers", "3", env=marks.env)
    assert marks("import") == 1
    assert marks("startup") == 3
    seen = look(raw(server))
    assert seen["imported_by"] == seen["parent"] == server.pid
    assert seen["frozen"] > 0
    assert server.stop() == 0
    assert marks("shutdown") == 3


def test_without_preload_each_worker_imports(cli_server, raw, marks):
    server = cli_server("worker_apps:app", "--workers", "3", "--no-preload", env=marks.env)
    assert marks("import") == marks("startup") == 3
    seen = look(raw(server))
    assert seen["imported_by"] == seen["pid"] != server.pid


def test_a_worker_is_a_process_as_any_other(cli_server, raw):
    """No signal is blocked in it, SIGCHLD is as it was, and nothing of the master's is in its environment."""
    seen = look(raw(cli_server("worker_apps:app", "--workers", "2")))
    assert seen["blocked"] == []
    assert seen["wakeup"]
    assert seen["passed"] == []


def test_titles(cli_server):
    server = cli_server("worker_apps:app", "--workers", "2")
    first, second = workers(server)
    assert [name(server.pid), name(first), name(second)] == ["saltare:master", "saltare:wkr1", "saltare:wkr2"]
    assert command_line(server.pid) == "saltare:master worker_apps:app"
    assert command_line(first) == "saltare:wkr1 worker_apps:app"


def test_the_title_of_a_single_process(cli_server):
    server = cli_server("worker_apps:app")
    assert name(server.pid) == "saltare"
    assert children(server.pid) == []


def test_an_idle_master_makes_no_system_call(cli_server):
    """Voluntary context switches are what a wait that ends shows as."""
    server = cli_server("worker_apps:app", "--workers", "2")

    def switches():
        lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
        return [line for line in lines if line.startswith("voluntary")]

    wait_until(lambda: state(server.pid) == "S")
    before = switches()
    time.sleep(1.2)
    assert switches() == before


def test_threads_at_import_are_named(cli_server, raw):
    """Whoever asks for the fork gets it."""
    server = cli_server("worker_apps:app", "--workers", "2", "--preload", env={"THREAD": "1"})
    server.wait_for_log("has started threads at import (of-the-app)")
    assert "--no-preload" in server.logs()
    assert look(raw(server))["threads"] == ["MainThread"]


def test_without_preload_a_worker_has_the_threads_of_the_import(cli_server, raw):
    server = cli_server("worker_apps:app", "--workers", "2", "--no-preload", env={"THREAD": "1"})
    assert look(raw(server))["threads"] == ["MainThread", "of-the-app"]
    assert "threads at import" not in server.logs()


def test_nobody_survives_a_killed_master(cli_server, raw):
    server = cli_server("worker_apps:app", "--workers", "3")
    pids = workers(server)
    raw(server).get("/sleeps/60")
    server.popen.kill()
    wait_for_end(pids)
    server.wait()


def test_nobody_survives_a_master_killed_while_it_starts(cli_server, marks, request):
    """Workers that are in the middle of their start-up."""
    command = [sys.executable, "-m", "saltare", "worker_apps:app", "--workers", "2", "--port", "0"]
    env = {**os.environ, **marks.env, "STARTUP": "hangs"}
    master = subprocess.Popen(command, cwd=request.path.parent, env=env)
    wait_until(lambda: marks("startup") == 2)
    pids = children(master.pid)
    assert len(pids) == 2
    master.kill()
    master.wait()
    wait_for_end(pids)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_as_process_one_it_reaps_orphans(request, tmp_path):
    """In a PID namespace, as in a container: what an app's child leaves behind is a child of process 1."""
    unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode != 0:
        pytest.skip("unshare is not allowed here")
    script = tmp_path / "orphans.py"
    script.write_text(ORPHANS)
    done = subprocess.run(
        [*unshare, sys.executable, script], cwd=request.path.parent, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "pid 1, zombies []", done.stdout + done.stderr


ORPHANS = """
import os, subprocess, threading, time
import saltare

async def app(scope, receive, send):
    if os.fork() == 0:  # its child is an orphan at once
        if os.fork() == 0:
            os._exit(0)
        os._exit(0)
    os.wait()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})

def is_zombie(pid):
    try:
        return ") Z 1 " in open(f"/proc/{pid}/stat").read()
    except (FileNotFoundError, ProcessLookupError):
        return False  # reaped since it was listed

def ask():
    try:
        look()
    finally:
        server.shutdown()

def look():
    import http.client
    while not server.started:
        time.sleep(0.01)
    for _ in range(10):
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=20)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
    for _ in range(500):
        zombies = [name for name in os.listdir("/proc") if name.isdigit() and is_zombie(name)]
        if not zombies:
            break
        time.sleep(0.01)
    print(f"pid {os.getpid()}, zombies {zombies}", flush=True)

server = saltare.Server(app, workers=2, port=0, lifespan="off", log_level="error")
threading.Thread(target=ask, daemon=True).start()
server.run()
"""


# ---- who serves what ----


def shares(clients, rounds=6):
    """How many answers each worker gave, most first."""
    for _ in range(rounds):
        for client in clients:
            client.get("/pid")
        served = collections.Counter(client.read_response().body for client in clients)
    return [count for _, count in served.most_common()]


@pytest.mark.parametrize("count", CONNECTION_COUNTS)
@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_connections_are_spread(cli_server, raw, tmp_path, count, unix):
    """The busiest worker serves at most half as much again as the mean."""
    where = ["--uds", tmp_path / "socket"] if unix else []
    server = cli_server("worker_apps:app", "--workers", "4", "--keep-alive-timeout", "30", *where)
    clients = []
    for _ in range(count):
        clients.append(raw(server))
        clients[-1].get("/pid").read_response()
    assert shares(clients)[0] <= 1.5 * count / 4


@pytest.mark.parametrize("count", CONNECTION_COUNTS)
def test_connections_that_come_all_at_once_are_spread(cli_server, raw, count):
    """As a load generator or a proxy opens them."""
    server = cli_server("worker_apps:app", "--workers", "4", "--keep-alive-timeout", "30")
    clients = [raw(server) for _ in range(count)]
    assert shares(clients)[0] <= 1.5 * count / 4


def test_a_stuck_worker_gets_no_new_connections(cli_server, raw):
    """A handler that holds its loop up: the others take everything meanwhile."""
    server = cli_server("worker_apps:app", "--workers", "4")
    stuck = raw(server)
    held_up = stuck.get("/pid").read_response().body
    stuck.get("/blocks/3")
    time.sleep(0.05)
    served = [raw(server).get("/pid").read_response().body for _ in range(40)]
    assert held_up not in served
    assert len(set(served)) == 3
    assert stuck.read_response().body == held_up


def test_a_connection_does_not_wait_for_a_worker_that_gets_stuck(cli_server, raw, marks):
    """It may be left to the one with fewer, which has begun a long handler a moment before; then it is taken after all."""
    server = cli_server("worker_apps:app", "--workers", "2", "--keep-alive-timeout", "30", env=marks.env)
    first = raw(server)
    light = first.get("/pid").read_response().body
    others = [raw(server)]
    while others[-1].get("/pid").read_response().body == light:  # the other one may still be at its start's end
        others.append(raw(server))
    for number in range(1, 4):
        first.get("/blocks/1")
        while marks("blocks") < number:
            pass
        others.append(raw(server).get("/pid"))
        assert others[-1].read_response().body != light
        assert first.read_response().body == light


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
    """Also after it was killed, and though its successor does not come to serve."""
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
    """It ends the request, not the worker."""
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
    """The first ones serve; all that come later die at their start."""
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
    server.wait_for_log("did not start within 0.5 s: it is killed")
    wait_until(lambda: marks("startup") >= 3)  # it goes on trying
    assert server.stop() == 0


def test_first_workers_that_do_not_start_in_time_end_it(ended, marks):
    code, log = ended(
        "worker_apps:app", "--workers", 2, "--worker-start-timeout", "500ms", **marks.env, STARTUP="hangs"
    )
    assert code == 3
    assert "did not start within 0.5 s: it is killed" in log
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
    assert done.returncode == 1
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
    """There is no use in going on with the others."""
    options = ["--workers", 3, "--lifespan", "on", "--worker-start-timeout", "1s"]
    code, log = ended("worker_apps:app", *options, **marks.env, STARTUP=f"{way},3")
    assert code == 3, log
    assert "before it served" in log
    assert marks("startup") == 3


@pytest.mark.parametrize("way", ["fails", "raises", "hangs"])
def test_a_lifespan_that_goes_wrong_in_a_later_one(cli_server, raw, marks, way):
    """The others serve, and it is tried again."""
    options = ["--workers", "2", "--lifespan", "on", "--worker-start-timeout", "500ms"]
    server = cli_server("worker_apps:app", *options, env={**marks.env, "STARTUP": f"{way},3"})
    first, second = workers(server)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: marks("startup") >= 4, server.logs)
    assert raw(server).get("/pid").read_response().body == str(second).encode()
    assert server.stop() == 0


# ---- signals to all of them ----


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_finishes_what_is_in_flight(cli_server, raw, number):
    server = cli_server("worker_apps:app", "--workers", "2")
    pids = workers(server)
    asking = [raw(server).get("/sleeps/0.5") for _ in range(6)]
    idle = raw(server)
    assert idle.get("/pid").read_response().status == 200
    server.popen.send_signal(number)
    answers = [client.read_response() for client in asking]
    assert [(one.status, one.get("connection")) for one in answers] == [(200, "close")] * 6
    assert idle.read_all() == b""
    assert server.wait() == 0
    assert not any(map(alive, pids))


def test_an_interrupt_of_the_terminal_reaches_all_and_stops_gracefully(cli_server, raw):
    """Ctrl+C goes to the whole process group."""
    server = cli_server("worker_apps:app", "--workers", "2", start_new_session=True)
    asking = raw(server).get("/sleeps/0.5")
    idle = raw(server)
    idle.get("/pid").read_response()
    os.killpg(server.pid, signal.SIGINT)
    assert asking.read_response().status == 200
    assert server.wait() == 0
    assert "Traceback" not in server.logs()


def test_nobody_is_accepted_while_it_stops(cli_server, raw):
    server = cli_server("worker_apps:app", "--workers", "2")
    asking = raw(server).get("/sleeps/2")
    time.sleep(0.1)
    server.popen.send_signal(signal.SIGTERM)

    def refused():
        try:
            Raw(server).close()
        except (ConnectionRefusedError, ConnectionResetError):
            return True
        return False

    wait_until(refused)
    assert asking.read_response().status == 200
    assert server.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(cli_server, raw, number):
    server = cli_server("worker_apps:app", "--workers", "2")
    pids = workers(server)
    asking = raw(server)
    asking.get("/pid").read_response()
    asking.get("/sleeps/60")
    time.sleep(0.1)
    server.popen.send_signal(number)
    time.sleep(0.2)
    assert server.popen.poll() is None
    server.popen.send_signal(number)
    assert server.wait() == 1
    assert b" 200 " not in asking.read_all()
    assert not any(map(alive, pids))


def test_a_worker_that_hangs_is_killed_in_the_end(cli_server, raw):
    """One that does not even heed a signal."""
    server = cli_server("worker_apps:app", "--workers", "2", "--shutdown-timeout", "100ms")
    (stuck,) = workers(server)[:1]
    os.kill(stuck, signal.SIGSTOP)
    assert server.stop() == 1
    server.wait_for_log("did not end in time: it is killed")
    assert not alive(stuck)


def test_one_more_and_one_fewer(cli_server, raw):
    server = cli_server("worker_apps:app", "--workers", "2")
    first, second = workers(server)
    server.popen.send_signal(signal.SIGTTIN)
    third = wait_for_workers(server, 3)[2]
    server.wait_for_log("workers wanted: 3")
    wait_for_rolls(server, 1)
    wait_until(lambda: raw(server).get("/pid").read_response().body == str(third).encode())
    asking = [raw(server).get("/sleeps/0.5") for _ in range(9)]
    server.popen.send_signal(signal.SIGTTOU)
    assert {client.read_response().status for client in asking} == {200}
    assert wait_for_workers(server, 2) == [first, second]
    for _ in range(3):  # the last one stays
        server.popen.send_signal(signal.SIGTTOU)
        time.sleep(0.1)
    wait_for_workers(server, 1)
    assert raw(server).get("/pid").read_response().body == str(first).encode()


def test_more_than_there_are_slots_for_is_refused(cli_server):
    server = cli_server("worker_apps:app", "--workers", "1", "--limit-max-requests", "100000")
    for count in range(2, 10):
        server.popen.send_signal(signal.SIGTTIN)
        wait_for_workers(server, count)
    server.popen.send_signal(signal.SIGTTIN)
    server.wait_for_log("there is no room for 10 workers")
    assert len(workers(server)) == 9


# ---- from a program ----


def script(tmp_path, text):
    path = tmp_path / "program.py"
    path.write_text(f"import os, threading, time\nimport saltare\n{APP}\n{text}")
    return subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=60)


APP = """
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"here"})

def get(url):
    import urllib.request
    return urllib.request.urlopen(url, timeout=20).read()
"""


def test_server_run_with_workers(tmp_path):
    done = script(
        tmp_path,
        """
server = saltare.Server(app, workers=2, port=0, lifespan="off")
print(server.started, server.url)

def use():
    while not server.started:
        time.sleep(0.01)
    print(get(server.url), server.url.startswith("http://127.0.0.1:"))
    server.shutdown()

for _ in range(2):  # it can be run again
    thread = threading.Thread(target=use)
    thread.start()
    server.run()
    thread.join()
    print(server.started, server.graceful)
""",
    )
    assert done.stdout.splitlines() == ["False None", *["b'here' True", "False True"] * 2], done.stdout + done.stderr
    assert done.returncode == 0


def test_run_with_workers(tmp_path):
    done = script(
        tmp_path,
        """
import signal
def use():
    time.sleep(0.2)
    while b"listening" not in open(2, "rb", closefd=False).read() if False else not started():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)

def started():
    try:
        return get(f"http://127.0.0.1:{port}") == b"here"
    except OSError:
        return False

import socket
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
threading.Thread(target=use, daemon=True).start()
saltare.run(app, workers=2, port=port, lifespan="off")
print("returned", signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, signal.getsignal(signal.SIGINT) is signal.default_int_handler)
""",
    )
    assert done.stdout.splitlines() == ["returned True True"], done.stdout + done.stderr
    assert done.returncode == 0


def test_only_run_has_workers(tmp_path):
    done = script(
        tmp_path,
        """
import asyncio
server = saltare.Server(app, workers=2, port=0)
try:
    asyncio.run(server.serve())
except saltare.ConfigError as error:
    print("ConfigError", error)
try:
    with saltare.running(app, workers=2, port=0):
        pass
except saltare.StartError as error:
    print("StartError", error)
with saltare.running(app, port=0, lifespan="off"):
    pass
try:
    server.run()
except saltare.StartError as error:
    print("StartError", error)
""",
    )
    config, thread, go = done.stdout.splitlines()
    assert config.startswith("ConfigError serve() is one process")
    assert thread.startswith("StartError workers are forked by the main thread only")
    assert go.startswith("StartError workers cannot be forked by a process that has served itself")


# ---- in the long run ----

STARTS = int(os.environ.get("TEST_STARTS", 20))  # 1,000 for a long look


def test_starts_and_stops_leave_nothing(tmp_path, request):
    """In one process, whose descriptors can be counted, with workers that are gone each time."""
    done = script(
        tmp_path,
        f"""
path = {str(tmp_path / "socket")!r}
def use(server):
    while not server.started:
        time.sleep(0.005)
    server.shutdown()

before = None
for number in range({STARTS}):
    server = saltare.Server(app, workers=2, lifespan="off", log_level="error", **(dict(uds_path=path) if number % 2 else dict(port=0)))
    thread = threading.Thread(target=use, args=[server])
    thread.start()
    server.run()
    thread.join()
    left = len(os.listdir("/proc/self/fd")), os.path.exists(path), os.system(f"pgrep -P {{os.getpid()}} sleep") == 0
    try:
        os.waitpid(-1, os.WNOHANG)
        print("children")
    except ChildProcessError:
        pass
    before = before or left
    if left != before:
        print(number, before, left)
print("over")
""".replace('os.system(f"pgrep -P {os.getpid()} sleep") == 0', "threading.active_count()"),
    )
    assert done.stdout.splitlines() == ["over"], done.stdout + done.stderr


def test_replacing_workers_leaves_nothing_in_the_master(cli_server):
    server = cli_server("worker_apps:app", "--workers", "1", "--limit-max-requests", "1000000", "--no-preload")
    pids = workers(server)
    before = descriptors(server.pid)
    for count in range(1, 6):
        server.popen.send_signal(signal.SIGHUP)
        pids = wait_for_workers(server, 1, without=pids)
        wait_for_rolls(server, count)
    wait_until(lambda: len(children(server.pid)) == 1 and descriptors(server.pid) <= before)
