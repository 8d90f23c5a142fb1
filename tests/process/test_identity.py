"""user, group, umask and pid: what the process is to the system."""

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from family import wait_for_workers, workers
from harness import Process, wait_until
from rawsocket import Raw

NOBODY = pwd.getpwnam("nobody")
USER = (NOBODY.pw_uid,) * 3
GROUP = (NOBODY.pw_gid,) * 3
APP = "identity_apps:app"

of_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
kinds = pytest.mark.parametrize("kind", [(), ("--workers", "2"), ("--workers", "2", "--no-preload")], ids=str)


# Where the interpreter lies in a folder that only root may enter, it gets a file system of its own in its place.
READABLE = """
set -e
mount --bind "$1" /mnt
mount -t tmpfs -o mode=755 tmpfs "$2"
mkdir -p "$1"
mount --bind /mnt "$1"
shift 2
exec "$@"
"""


def for_everybody():
    """What to write before a command whose interpreter another user must be able to read."""
    base = Path(sys.base_prefix)
    closed = [str(one) for one in (base, *base.parents) if not one.stat().st_mode & 0o001]
    return ["unshare", "--mount", "sh", "-c", READABLE, "sh", str(base), closed[-1]] if closed else []


@pytest.fixture
def by_root(tmp_path):
    """A function that starts a server which may become another user."""
    servers = []

    def start(*arguments):
        prefix = for_everybody()
        if prefix and subprocess.run([*prefix, "true"], capture_output=True).returncode != 0:
            pytest.skip("other users cannot read this interpreter, and mount is not allowed here")
        port = [] if "--uds" in arguments else ["--port", "0"]
        command = [*prefix, sys.executable, "-m", "saltare", APP, "--lifespan", "off", *port, *map(str, arguments)]
        servers.append(Process(command, tmp_path / f"log-{len(servers)}", cwd=Path(__file__).parent))
        return servers[-1]

    yield start
    for server in servers:
        server.end()


@pytest.fixture
def folder():
    """One that every user can read, which tmp_path is not."""
    made = tempfile.mkdtemp()
    os.chmod(made, 0o755)
    yield Path(made)
    shutil.rmtree(made)


def ask(server):
    with Raw(server) as client:
        return json.loads(client.get().read_response().body)


@of_root
@kinds
def test_root_becomes_another_user_before_the_app_is_imported(by_root, kind):
    server = by_root("--user", "nobody", *kind)
    told = ask(server)
    for when in ("imported", "serving"):
        assert (tuple(told[when]["users"]), tuple(told[when]["groups"])) == (USER, GROUP)
        assert told[when]["others"] == sorted(os.getgrouplist("nobody", NOBODY.pw_gid))
        assert told[when]["proc"] == NOBODY.pw_uid
        assert int(told[when]["capabilities"], 16) == 0
    assert os.stat(f"/proc/{server.pid}").st_uid == NOBODY.pw_uid  # the master, too
    assert server.stop() == 0


@of_root
def test_numbers_and_a_group_of_its_own(by_root):
    told = ask(by_root("-u", "12345", "-g", "23456"))["imported"]
    assert (told["users"], told["groups"], told["others"]) == ([12345] * 3, [23456] * 3, [23456])
    told = ask(by_root("--group", "daemon"))["imported"]
    assert (told["users"][0], told["groups"][0]) == (0, 1)


@of_root
@kinds
def test_what_root_alone_may_open(by_root, folder, kind):
    """A socket in a folder of root belongs to the user; its name stays at the end, and the next start replaces it."""
    path, pid = folder / "socket", folder / "pid"
    for _ in range(2):
        server = by_root("--user", "nobody", "--uds", path, "--pid", pid, "--umask", "007", *kind)
        status = os.lstat(path)
        assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (*USER[:1], *GROUP[:1], 0o660)
        assert pid.read_text() == f"{server.pid}\n"
        assert pid.stat().st_mode & 0o777 == 0o644
        assert ask(server)["imported"]["umask"] == 0o007
        assert server.stop() == 0
        assert pid.read_text() == ""  # the user may not remove it


@of_root
@kinds
def test_sighup_keeps_all_of_it(by_root, folder, kind):
    os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
    path, pid = folder / "socket", folder / "pid"
    server = by_root("--user", "nobody", "--uds", path, "--pid", pid, "--umask", "027", *kind)
    old = ask(server)
    if kind:
        before = workers(server)
        server.popen.send_signal(signal.SIGHUP)
        wait_for_workers(server, 2, without=before)
    else:
        server.popen.send_signal(signal.SIGHUP)
        wait_until(lambda: server.logs().count("listening on") == 2, server.logs)
    told = ask(server)
    assert told["imported"] == old["imported"]
    assert told["imported"]["umask"] == 0o027
    assert pid.read_text() == f"{server.pid}\n"
    assert "ERROR" not in server.logs()
    assert server.stop() == 0
    assert not pid.exists()
    assert not path.exists()


@kinds
def test_a_pid_file_is_written_and_removed(cli_server, tmp_path, kind):
    pid = tmp_path / "pid"
    pid.write_text("4194304999\n")  # of no process: a server that was killed
    server = cli_server(APP, "--lifespan", "off", "--pidfile", pid, *kind)
    assert pid.read_text() == f"{server.pid}\n"
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith("pid")] == ["pid"]
    os.kill(int(pid.read_text()), signal.SIGTERM)
    assert server.wait() == 0
    assert not pid.exists()


@pytest.mark.parametrize("text", ["", "\n", "{own}\n"])
def test_a_pid_file_without_a_server_is_replaced(cli_server, tmp_path, text):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    pid = tmp_path / "pid"
    pid.write_text(text.format(own=ended.pid))
    server = cli_server(APP, "--lifespan", "off", "--pid", pid)
    assert pid.read_text() == f"{server.pid}\n"


@kinds
def test_a_pid_file_of_a_running_server_is_refused(cli_server, ended, tmp_path, kind):
    pid = tmp_path / "pid"
    server = cli_server(APP, "--lifespan", "off", "--pid", pid)
    code, log = ended(APP, "--pid", pid, *kind)
    assert code == 1
    assert log == (
        f"saltare: pid: cannot use {pid}: it names process {server.pid}, which is running; stop that server, or remove "
        "the file if the process is another\n"
    )
    assert pid.read_text() == f"{server.pid}\n"
    assert server.stop() == 0


def test_other_files_stay(ended, tmp_path):
    other = tmp_path / "notes"
    other.write_text("text of somebody")
    code, log = ended(APP, "--pid", other)
    assert (code, log) == (1, f"saltare: pid: cannot use {other}: there is a file of that name that is no pid file\n")
    assert other.read_text() == "text of somebody"
    code, log = ended(APP, "--pid", tmp_path / "none" / "pid")
    assert (code, log.count("\n")) == (1, 1)
    assert "no such file or directory" in log


@kinds
def test_a_start_that_fails_leaves_no_pid_file(ended, tmp_path, kind):
    pid, path = tmp_path / "pid", tmp_path / "socket"
    for arguments in (("nowhere:app",), (APP, "--bind", f"unix:{tmp_path}/none/socket")):
        code, _ = ended(*arguments, "--pid", pid, *kind)
        assert code
        assert not pid.exists()
    assert not path.exists()


@of_root
def test_a_start_that_fails_after_the_sockets_are_opened(folder):
    os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
    options = ["--user", "nobody", "--pid", folder / "pid", "--uds", folder / "socket"]
    command = [*for_everybody(), sys.executable, "-m", "saltare", "nowhere:app", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "nowhere" in done.stderr) == (3, True)
    assert list(folder.iterdir()) == []


def test_a_name_that_another_server_took_is_left_to_it(cli_server, tmp_path):
    pid = tmp_path / "pid"
    server = cli_server(APP, "--lifespan", "off", "--pid", pid)
    pid.write_text("1\n")
    assert server.stop() == 0
    assert pid.read_text() == "1\n"


@of_root
def test_only_root_can():
    nobody = ["setpriv", "--reuid", "nobody", "--regid", str(NOBODY.pw_gid), "--clear-groups"]
    command = [sys.executable, "-m", "saltare", APP, "--port", "0", "--user", "daemon"]
    done = subprocess.run(
        [*for_everybody(), *nobody, *command], capture_output=True, text=True, timeout=60, cwd=Path(__file__).parent
    )
    assert done.returncode == 1
    assert done.stderr == (
        "saltare: user, group: cannot become user 1 and group 1: operation not permitted; start the server as root, or "
        "leave user and group out\n"
    )


def test_a_server_of_a_program(tmp_path):
    pid = tmp_path / "pid"
    code = (
        "import os, saltare\n"
        "from identity_apps import app\n"
        f"with saltare.running(app, port=0, lifespan='off', pid={str(pid)!r}, umask=0o27):\n"
        f"    print(open({str(pid)!r}).read().strip() == str(os.getpid()), oct(os.umask(0)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=Path(__file__).parent
    )
    assert done.stdout == "True 0o27\n", done.stderr
    assert not pid.exists()
