"""The access log of processes: where it goes, its rotation under load, and files that take no lines; the server's own lines as JSON."""

import json
import os
import re
import signal
import subprocess
import sys
import threading

import pytest

from family import wait_for_workers, workers
from harness import HANG, Process, unused_port, wait_until
from rawsocket import Raw

APP = ("log_apps:app", "--lifespan", "off")


def lines_of(path):
    return path.read_text().splitlines() if path.exists() else []


def wait_for_lines(path, n):
    wait_until(lambda: len(lines_of(path)) >= n, lambda: f"{len(lines_of(path))} lines of {n} in {path}")


# ---- where it goes ----


def test_stderr_is_the_default(cli_server, raw):
    server = cli_server(*APP, "--access-log")
    raw(server).get("/a?b").read_response()
    server.wait_for_log('"path":"/a?b"')
    (line,) = [line for line in server.logs().splitlines() if line.startswith("{")]
    assert json.loads(line)["status"] == 200


@pytest.mark.parametrize("name", ["-", "stdout"])
@pytest.mark.parametrize("option", ["--access-log-path", "--access-logfile"])
def test_stdout(cli_server, raw, tmp_path, name, option):
    """A path turns the log on."""
    with open(tmp_path / "out", "wb") as out:
        server = cli_server(*APP, option, name, "--access-log-format", "{path} {status}", stdout=out)
    raw(server).get("/a").read_response()
    wait_for_lines(tmp_path / "out", 1)
    assert lines_of(tmp_path / "out") == ["/a 200"]
    assert "/a 200" not in server.logs()


def test_a_program_for_uvicorn(tmp_path, raw):
    program = [sys.executable, "log_apps.py", str(unused_port())]
    server = Process(program, tmp_path / "log", cwd=os.path.dirname(__file__))
    raw(server).get("/a").read_response()
    server.wait_for_log('"path":"/a"')
    assert server.stop() == 0


def test_no_line_is_lost_at_a_stop(cli_server, raw, tmp_path):
    path = tmp_path / "log"
    server = cli_server(*APP, "--access-log-path", path)
    asking = raw(server).get("/sleeps/0.3")
    client = raw(server)
    for _ in range(100):
        client.get("/pid").read_response()
    assert server.stop() == 0
    assert asking.read_response().status == 200
    assert len(lines_of(path)) == 101


def test_a_path_that_cannot_be_written(tmp_path):
    path = tmp_path / "none" / "log"
    for workers_wanted in ("1", "2"):
        command = [sys.executable, "-m", "saltare", *APP, "--port", "0", "--workers", workers_wanted]
        done = subprocess.run(
            [*command, "--access-log-path", path],
            capture_output=True,
            text=True,
            timeout=HANG,
            check=False,
            cwd=os.path.dirname(__file__),
        )
        assert done.returncode == 1
        assert f"access_log_path: cannot write to {path}: No such file or directory" in done.stderr


def test_options_without_a_log_are_told(cli_server):
    server = cli_server(*APP, "--access-log-format", "combined")
    server.wait_for_log("--access-log-format has no effect: the access log is off, and --access-log turns it on")


# ---- loggers of the app ----

LOGGERS = {
    "version": 1,
    "formatters": {"plain": {"format": "RECORD %(message)s"}},
    "handlers": {"err": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "loggers": {"saltare.access": {"handlers": ["err"], "level": "INFO"}},
}


@pytest.mark.parametrize(
    ("options", "records", "lines"), [([], 1, 0), (["--access-log"], 1, 0), (["--no-access-log"], 0, 0)]
)
def test_a_logger_takes_the_place_of_stderr(cli_server, raw, tmp_path, options, records, lines):
    (tmp_path / "log.json").write_text(json.dumps(LOGGERS))
    server = cli_server(*APP, "--log-config", tmp_path / "log.json", *options)
    raw(server).get("/a").read_response()
    assert server.stop() == 0
    assert server.logs().count("RECORD") == records
    assert server.logs().count('{"time"') == lines


def test_a_logger_and_a_file(cli_server, raw, tmp_path):
    (tmp_path / "log.json").write_text(json.dumps(LOGGERS))
    server = cli_server(*APP, "--log-config", tmp_path / "log.json", "--access-log-path", tmp_path / "log")
    raw(server).get("/a").read_response()
    assert server.stop() == 0
    assert server.logs().count("RECORD") == 1
    assert len(lines_of(tmp_path / "log")) == 1


# ---- rotation ----


def test_sigusr2_opens_the_file_again(cli_server, raw, tmp_path):
    path, old = tmp_path / "log", tmp_path / "old"
    server = cli_server(*APP, "--access-log-path", path)
    client = raw(server)
    client.get("/first").read_response()
    wait_for_lines(path, 1)
    path.rename(old)
    server.popen.send_signal(signal.SIGUSR2)
    wait_until(path.exists)
    client.get("/second").read_response()
    wait_for_lines(path, 1)
    assert '"/first"' in old.read_text() and '"/second"' in path.read_text()
    assert len(lines_of(old)) == len(lines_of(path)) == 1


def test_a_file_that_cannot_be_opened_again_stays(cli_server, raw, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    server = cli_server(*APP, "--access-log-path", folder / "log")
    folder.rename(tmp_path / "renamed")
    server.popen.send_signal(signal.SIGUSR2)
    server.wait_for_log(f"the access log stays in the old file, because {folder}/log cannot be opened: No such file")
    raw(server).get("/a").read_response()
    wait_for_lines(tmp_path / "renamed" / "log", 1)


class Load:
    """Requests by several clients at once, until `stop`; counts the responses."""

    def __init__(self, server, clients=8):
        self.count, self._ended = [0] * clients, threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=[server, n]) for n in range(clients)]
        for thread in self._threads:
            thread.start()

    def _ask(self, server, n):
        while not self._ended.is_set():
            with Raw(server) as client:
                for _ in range(50):
                    assert client.get(f"/{n}/{self.count[n]}").read_response().status == 200
                    self.count[n] += 1

    def stop(self):
        self._ended.set()
        for thread in self._threads:
            thread.join()
        return self.count


@pytest.mark.slow
def test_rotation_under_load_by_four_workers_loses_and_tears_no_line(cli_server, tmp_path):
    path = tmp_path / "log"
    server = cli_server(*APP, "--workers", "4", "--access-log-path", path)
    load = Load(server)
    files = []
    try:
        for n in range(20):
            wait_for_lines(path, 100)
            files.append(path.rename(tmp_path / f"log.{n}"))
            server.popen.send_signal(signal.SIGUSR2)
            wait_until(path.exists)
    finally:
        counts = load.stop()
    assert server.stop() == 0
    records = [json.loads(line) for file in [*files, path] for line in lines_of(file)]
    assert len(records) == sum(counts)
    assert {one["path"] for one in records} == {f"/{n}/{i}" for n, count in enumerate(counts) for i in range(count)}


def test_workers_have_numbers_and_a_new_one_writes_to_the_same_file(cli_server, raw, tmp_path):
    path = tmp_path / "log"
    server = cli_server(*APP, "--workers", "2", "--access-log-path", path, "--access-log-format", "{worker} {pid}")
    first = workers(server)
    os.kill(next(iter(first)), signal.SIGKILL)
    new = wait_for_workers(server, 2, without=[next(iter(first))])
    seen = set()
    while len(seen) < 2:
        seen.add(int(raw(server).get("/").read_response().body))
    assert server.stop() == 0
    lines = [line.split() for line in lines_of(path)]
    assert {int(pid) for _, pid in lines} == seen == set(new)
    assert {number for number, _ in lines} == {"1", "2"}


# ---- files that take no lines ----


def test_a_full_disk_holds_nothing_and_is_told(cli_server, raw):
    server = cli_server(*APP, "--access-log-path", "/dev/full")
    client = raw(server)

    def told():
        assert client.get("/").read_response().status == 200
        return "the access log has lost lines: " in server.logs()

    wait_until(told)
    assert "(no space left on device); further ones within a minute are not logged" in server.logs()
    for _ in range(50):
        client.get("/").read_response()
    assert server.stop() == 0
    assert server.logs().count("the access log has lost lines") == 1


def test_a_pipe_that_nobody_reads_holds_nothing_and_is_told(cli_server, raw):
    reader, writer = os.pipe()
    try:
        server = cli_server(
            *APP, "--access-log-path", "stdout", "--access-log-format", "{path}{path}{path}", stdout=writer
        )
        client = raw(server)

        def told():
            for _ in range(20):
                assert client.get("/" + "x" * 1300).read_response().status == 200
            return "the access log has lost lines: " in server.logs()

        wait_until(told)
        assert "(what reads it is too slow, or reads nothing)" in server.logs()
        assert server.stop() == 0
    finally:
        os.close(reader)
        os.close(writer)


def test_lines_of_four_workers_in_a_pipe_do_not_mix(cli_server):
    reader, writer = os.pipe()
    text, ended = [], threading.Event()

    def read():
        while piece := os.read(reader, 1 << 16):
            text.append(piece)
        ended.set()

    threading.Thread(target=read).start()
    server = cli_server(*APP, "--workers", "4", "--access-log-path", "-", stdout=writer)
    os.close(writer)
    load = Load(server)
    wait_until(lambda: sum(load.count) > 2000)
    counts = load.stop()
    assert server.stop() == 0
    assert ended.wait(HANG)
    os.close(reader)
    records = [json.loads(line) for line in b"".join(text).splitlines()]
    assert {one["path"] for one in records} == {f"/{n}/{i}" for n, count in enumerate(counts) for i in range(count)}
    assert len(records) == sum(counts)


# ---- the server's own lines ----


def test_lines_of_the_server_as_json(cli_server, raw):
    server = cli_server(
        "log_apps:failing",
        "--lifespan",
        "off",
        "--log-format",
        "json",
        "--access-log",
        "--threads",
        "4",
        "--log-level",
        "debug",
    )
    assert raw(server).get("/a").read_response().status == 500
    server.wait_for_log('"outcome":"failed"')
    assert server.stop() == 0
    lines = [json.loads(line) for line in server.logs().splitlines()]
    own = [line for line in lines if "level" in line]
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]) for line in lines)
    assert {"DEBUG", "INFO", "ERROR"} == {line["level"] for line in own}
    (error,) = [line for line in own if line["level"] == "ERROR"]
    assert error["message"] == "exception in the app: GET '/a'"
    assert error["traceback"].endswith('ValueError: quote " and\nline break \xe9\n')
    assert len(lines) == len(own) + 1


def test_handlers_of_the_app_get_records_all_the_same(cli_server, tmp_path):
    configured = {**LOGGERS, "loggers": {"saltare": {"handlers": ["err"], "level": "INFO"}}}
    (tmp_path / "log.json").write_text(json.dumps(configured))
    server = cli_server(*APP, "--log-config", tmp_path / "log.json", "--log-format", "json")
    assert server.stop() == 0
    assert all(line.startswith("RECORD ") for line in server.logs().splitlines())
