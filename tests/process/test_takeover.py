"""SIGHUP for every way of starting the server, and for any change of the folder; hanging trials; repeated signals."""

import itertools
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from family import Load, alive, children, wait_for_end, wait_for_rolls, wait_for_workers, workers
from harness import Process, wait_until
from rawsocket import Raw

APP = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise ValueError("none")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(VERSION))]})
    await send({"type": "http.response.body", "body": VERSION})
"""
ONE_OR_TWO = pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["one process", "workers"])
SCRIPT = os.path.join(os.path.dirname(sys.executable), "saltare")
LIMIT = ("--worker-start-timeout", "1s")


def write(folder, version, text="", name="edited.py"):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"VERSION = {version.encode()!r}\n{text}{APP}")
    write.stamp += 2  # a .pyc is trusted when second and size are equal
    os.utime(path, (write.stamp, write.stamp))


write.stamp = 1_700_000_000


@pytest.fixture
def start(tmp_path):
    """Starts a command in a folder, as a shell there would."""
    servers = []

    def started(command, folder, *options):
        env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        log = tmp_path / f"log-{len(servers)}"
        where = [] if "--config" in options else ["--port", "0"]
        command = [*command, "edited:app", *where, *map(str, options)]
        servers.append(Process(command, log, cwd=folder, env={**env, "PWD": str(folder)}))
        return servers[-1]

    yield started
    for server in servers:
        server.end()


def version(server):
    with Raw(server) as client:
        return client.get("/", "Connection: close").read_response().body.decode()


def becomes(server, expected):
    wait_until(lambda: version(server) == expected, server.logs)


def hang_up(server):
    server.popen.send_signal(signal.SIGHUP)


# ---- ways to start ----


def relative(folder):
    (folder / "bin").mkdir()
    (folder / "bin" / "saltare").symlink_to(SCRIPT)
    return ["bin/saltare"]


def own_environment(folder):
    """A virtual environment in the folder, with a console script as pip writes it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True
    )
    here = Path(__file__).parents[2]
    Path(site.stdout.strip(), "here.pth").write_text(f"{here}\n")
    script = folder / "venv" / "bin" / "saltare"
    script.write_text(f"#!{python}\nimport sys\nfrom saltare.cli import main\nsys.exit(main())\n")
    script.chmod(0o755)
    return [str(script)]


COMMANDS = {
    "module": lambda folder: [sys.executable, "-m", "saltare"],
    "console script": lambda folder: [SCRIPT],
    "script by its interpreter": lambda folder: [sys.executable, "-u", "-X", "dev", SCRIPT],
    "relative path": relative,
    "virtual environment": own_environment,
}


@ONE_OR_TWO
@pytest.mark.parametrize("command", COMMANDS)
def test_new_code_takes_over(start, tmp_path, command, options):
    folder = tmp_path / "app"
    write(folder, "first")
    server = start(COMMANDS[command](folder), folder, *options)
    for number in range(2):
        write(folder, f"roll {number}")
        hang_up(server)
        becomes(server, f"roll {number}")
    assert server.stop() == 0


@pytest.mark.parametrize("options", [(), ("--workers", "2"), ("--workers", "2", "--no-preload")], ids=str)
@pytest.mark.parametrize("way", ["folder", "app-dir"])
def test_another_release_behind_a_symbolic_link(start, tmp_path, way, options):
    """The folder it is started in, or --app-dir, is a link that a deployment repoints."""
    for number in (1, 2):
        write(tmp_path / "releases" / str(number), f"release {number}")
    current, new = tmp_path / "current", tmp_path / "new"
    current.symlink_to(tmp_path / "releases" / "1")
    where = current if way == "folder" else tmp_path
    server = start([SCRIPT], where, *options, *([] if way == "folder" else ["--app-dir", current]))
    assert version(server) == "release 1"
    new.symlink_to(tmp_path / "releases" / "2")
    new.rename(current)
    hang_up(server)
    becomes(server, "release 2")
    assert server.stop() == 0


@ONE_OR_TWO
def test_another_interpreter_behind_a_symbolic_link(start, tmp_path, options):
    """A release may bring its own environment: the script is started by its first line again."""
    for number in (1, 2):
        folder = tmp_path / "releases" / str(number)
        write(folder, str(number), text="import sys\nVERSION = sys.prefix.encode()\n")
        own_environment(folder)
    current, new = tmp_path / "current", tmp_path / "new"
    current.symlink_to(tmp_path / "releases" / "1")
    server = start([str(current / "venv" / "bin" / "saltare")], current, *options)
    assert version(server) == str(tmp_path / "releases" / "1" / "venv")
    new.symlink_to(tmp_path / "releases" / "2")
    new.rename(current)
    hang_up(server)
    becomes(server, str(tmp_path / "releases" / "2" / "venv"))
    assert server.stop() == 0


@pytest.mark.parametrize("options", [(), ("--workers", "2"), ("--workers", "2", "--no-preload")], ids=str)
def test_changes_within_a_second(start, tmp_path, options):
    """Of equal size too: Python would trust its compiled file."""
    folder = tmp_path / "app"
    write(folder, "first")
    server = start([SCRIPT], folder, *options)
    for restarts, (before, after) in enumerate(itertools.pairwise(["first", "one..", "two..", "three"]), 1):
        path = folder / "edited.py"
        stamp = path.stat().st_mtime_ns
        path.write_text(path.read_text().replace(before, after))  # an old worker may still respond
        second = stamp // 1_000_000_000 * 1_000_000_000
        os.utime(path, ns=(second, second + 900_000_000))  # in the second of the compilation, and after that
        for one in (folder / "__pycache__").iterdir():
            os.utime(one, ns=(second, second + 800_000_000))
        hang_up(server)
        becomes(server, after)
        if options:  # each worker may still read the file
            wait_for_rolls(server, 2 * restarts)


@ONE_OR_TWO
def test_an_app_that_changes_folder_and_environment(start, tmp_path, options):
    """What the app changes at import must not apply to a new start of the server."""
    text = (
        "import os\nVERSION += os.environ.get('LEFT', ' clean').encode()\nos.environ['LEFT'] = ' left'\nos.chdir('/')\n"
    )
    folder = tmp_path / "app"
    write(folder, "first", text)
    server = start(relative(folder), folder, *options)
    assert version(server) == "first clean"
    write(folder, "second", text)
    hang_up(server)
    becomes(server, "second clean")


# ---- changes of the folder ----


@pytest.mark.parametrize("options", [(), ("--workers", "2"), ("--workers", "2", "--no-preload")], ids=str)
def test_a_folder_that_is_gone(start, tmp_path, options):
    """It continues, says why, and loads the code once it is there."""
    folder = tmp_path / "app"
    write(folder, "first")
    server = start([SCRIPT], folder, *options)
    family = children(server.pid)
    folder.rename(tmp_path / "elsewhere")
    hang_up(server)
    server.wait_for_log(f"{folder}: No such file or directory; the ")
    assert version(server) == "first"
    wait_until(lambda: children(server.pid) == family)
    write(folder, "second")
    hang_up(server)
    becomes(server, "second")
    assert server.stop() == 0


@ONE_OR_TWO
def test_a_program_that_is_gone(start, tmp_path, options):
    folder = tmp_path / "app"
    write(folder, "first")
    (script,) = own_environment(folder)
    server = start([script], folder, *options)
    Path(script).rename(tmp_path / "elsewhere")
    hang_up(server)
    server.wait_for_log(f"{script}: No such file or directory; the ")
    assert version(server) == "first"
    Path(tmp_path / "elsewhere").rename(script)
    write(folder, "second")
    hang_up(server)
    becomes(server, "second")


@ONE_OR_TWO
def test_no_descriptor_is_left(start, tmp_path, options):
    """Neither at SIGHUP nor, with workers, when one has died. The server continues once descriptors are free again."""
    folder = tmp_path / "app"
    write(folder, "first")
    server = start([SCRIPT], folder, *options)
    before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    with Raw(server) as client:
        assert client.get().read_response().body == b"first"
        taken = set(map(int, os.listdir(f"/proc/{server.pid}/fd")))
        first_free = next(number for number in range(len(taken) + 1) if number not in taken)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (first_free, before[1]))
        write(folder, "second")
        hang_up(server)
        server.wait_for_log("Too many open files")
        if options:
            victim = workers(server)[0]
            os.kill(victim, signal.SIGKILL)
            server.wait_for_log("was killed by SIGKILL")
            wait_for_workers(server, 2, without=[victim])
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)
    hang_up(server)
    becomes(server, "second")
    assert server.stop() == 0


@ONE_OR_TWO
def test_a_new_address_that_is_taken(start, tmp_path, options):
    """A configuration on disk with an address that cannot be bound: the others are served, and the log says so."""
    folder = tmp_path / "app"
    write(folder, "first")
    (folder / "saltare.toml").write_text('bind = ["127.0.0.1:0"]\n')
    server = start([SCRIPT], folder, "--config", "saltare.toml", *options)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (folder / "saltare.toml").write_text(f'bind = ["127.0.0.1:0", "127.0.0.1:{port}"]\n')
        write(folder, "second")
        hang_up(server)
        becomes(server, "second")
        server.wait_for_log(f"cannot listen on 127.0.0.1:{port}: the port is in use")
    assert "the server keeps listening on the old addresses" in server.logs()
    assert server.stop() == 0


# ---- trials ----

HANGS = "import time\ntime.sleep(3600)\n"


def trial(server):
    """The pid of the child that is not a worker."""
    found = []

    def there():
        found[:] = [pid for pid in children(server.pid) if alive(pid) and pid not in workers(server)]
        return found

    wait_until(there, server.logs)
    return found[0]


@ONE_OR_TWO
def test_a_trial_that_hangs_is_killed_in_time(start, tmp_path, options):
    folder = tmp_path / "app"
    write(folder, "first")
    server = start([SCRIPT], folder, *options, *LIMIT)
    write(folder, "hangs", HANGS)
    hang_up(server)
    pid = trial(server)
    server.wait_for_log("SIGHUP: the trial of the new code did not end within 1 s; the ")
    wait_for_end([pid])
    assert version(server) == "first"
    write(folder, "second")
    hang_up(server)
    becomes(server, "second")
    assert server.stop() == 0


@ONE_OR_TWO
def test_a_hang_up_during_a_trial_is_remembered(start, tmp_path, options):
    """The trial may have read the previous code: the newest code takes over without another signal."""
    folder = tmp_path / "app"
    write(folder, "first")
    server = start([SCRIPT], folder, *options, "--worker-start-timeout", "3s")
    write(folder, "hangs", HANGS)
    hang_up(server)
    trial(server)
    write(folder, "second")
    hang_up(server)
    server.wait_for_log("tried again when the trial in progress ends")
    becomes(server, "second")
    assert server.stop() == 0


@ONE_OR_TWO
def test_a_hang_up_while_it_starts_is_remembered(start, tmp_path, options):
    folder = tmp_path / "app"
    marker = "import os, time\nopen('imports', 'w').close()\nwhile os.path.exists('wait'):\n    time.sleep(0.01)\n"
    write(folder, "first", marker)
    (folder / "wait").touch()
    log = tmp_path / "log"
    with open(log, "w") as stderr:
        popen = subprocess.Popen([SCRIPT, "edited:app", "--port", "0", *options], cwd=folder, stderr=stderr)
    try:
        wait_until((folder / "imports").exists)
        write(folder, "second")
        popen.send_signal(signal.SIGHUP)
        (folder / "wait").unlink()
        wait_until(lambda: "trying the new code" in log.read_text(), log.read_text)
        wait_until(
            lambda: "loaded the new code" in log.read_text() or log.read_text().count("listening on") == 2,
            log.read_text,
        )
    finally:
        popen.terminate()
        assert popen.wait(30) == 0, log.read_text()


@ONE_OR_TWO
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_trial_ends_with_the_server(start, tmp_path, options, number):
    folder = tmp_path / "app"
    write(folder, "first")
    server = start([SCRIPT], folder, *options)
    write(folder, "hangs", HANGS)
    hang_up(server)
    family = [trial(server), *workers(server)]
    assert server.stop(number) == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    wait_for_end(family)


@ONE_OR_TWO
def test_a_trial_does_not_wait_for_threads_of_the_app(start, tmp_path, options):
    """Which are not daemons, and never end."""
    threads = "import threading, time\nthreading.Thread(target=time.sleep, args=[3600]).start()\n"
    folder = tmp_path / "app"
    write(folder, "first")
    server = start([SCRIPT], folder, *options, "--worker-start-timeout", "20s")
    write(folder, "second", threads)
    begun = time.monotonic()
    hang_up(server)
    becomes(server, "second")
    assert time.monotonic() - begun < 20
    server.stop(signal.SIGKILL)


def test_an_app_that_breaks_between_trial_and_take_over(start, tmp_path):
    """The serving workers continue, and the next SIGHUP repairs it."""
    folder = tmp_path / "app"
    write(folder, "first")
    server = start([SCRIPT], folder, "--workers", "2")
    before = workers(server)
    once = "import os\nif os.path.exists('once'):\n    raise ValueError('the second time')\nopen('once', 'w').close()\n"
    write(folder, "broken", once)
    with Load(server, clients=2, target="/") as load:
        hang_up(server)
        server.wait_for_log("the new code cannot be loaded; the workers keep serving the old code")
        assert workers(server) == before
        load.wait_for_more(50)
        write(folder, "mended")
        hang_up(server)
        becomes(server, "mended")
        load.wait_for_more(50)
    assert load.failures == []
    assert server.stop() == 0
