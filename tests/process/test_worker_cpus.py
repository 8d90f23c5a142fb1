"""worker_cpus: each worker runs on one CPU."""

import os
import signal
from pathlib import Path

import pytest

import saltare
from family import wait_for_workers, workers
from harness import wait_until
from rawsocket import Raw
from saltare.prefork.cpus import pin

CPUS = sorted(os.sched_getaffinity(0))
APP = ("worker_apps:app", "--lifespan", "off")


def cpus_of(pid):
    """The CPUs of each thread of a process."""
    return {frozenset(os.sched_getaffinity(int(thread.name))) for thread in Path(f"/proc/{pid}/task").iterdir()}


def by_number(server, count):
    """The workers' CPUs, by the workers' numbers."""
    found = {}

    def all_there():
        for pid in workers(server):
            title = Path(f"/proc/{pid}/comm").read_text().strip()
            if title.startswith("saltare:wkr"):
                found[int(title.removeprefix("saltare:wkr"))] = cpus_of(pid)
        return len(found) == count

    wait_until(all_there, server.logs)
    return found


def test_auto_goes_over_all_cpus_of_the_master(cli_server):
    count = len(CPUS) + 1
    server = cli_server(*APP, "--workers", count, "--worker-cpus", "auto")
    expected = {number: {frozenset([CPUS[(number - 1) % len(CPUS)]])} for number in range(1, count + 1)}
    assert by_number(server, count) == expected
    assert cpus_of(server.pid) == {frozenset(CPUS)}
    assert server.stop() == 0


def test_a_list_and_a_worker_that_takes_the_place_of_another(cli_server):
    listed = CPUS[::-1][:2]
    server = cli_server(*APP, "--workers", "2", "--worker-cpus", ",".join(map(str, listed)))
    expected = {number: {frozenset([listed[(number - 1) % len(listed)]])} for number in (1, 2)}
    assert by_number(server, 2) == expected
    before = workers(server)
    os.kill(before[0], signal.SIGKILL)
    wait_for_workers(server, 2, without=before[:1])
    assert by_number(server, 2) == expected
    before = workers(server)
    server.popen.send_signal(signal.SIGHUP)
    wait_for_workers(server, 2, without=before)
    assert by_number(server, 2) == expected
    with Raw(server) as client:
        assert int(client.get("/pid").read_response().body) in workers(server)
    assert server.stop() == 0


def test_without_it_workers_run_everywhere(cli_server):
    server = cli_server(*APP, "--workers", "2")
    assert by_number(server, 2) == {1: {frozenset(CPUS)}, 2: {frozenset(CPUS)}}


def test_a_cpu_that_is_gone(monkeypatch, caplog):
    """It may leave the cpuset of a container while the master runs."""

    def gone(pid, cpus):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "sched_setaffinity", gone)
    with caplog.at_level("WARNING"):
        pin("7", 1)
    assert "worker 1 cannot run on CPU 7 alone: Invalid argument; it runs where the master does" in caplog.text


REFUSED = {
    "x": "worker_cpus: got 'x'; accepted: auto, or numbers and ranges of CPUs such as 0-3,8",
    "3-1": "worker_cpus: got '3-1'; accepted: auto",
    "0,0": "worker_cpus: got '0,0' (a CPU is named twice); accepted: auto",
    "4000": "worker_cpus: got '4000', with CPU 4000, but this process may run on ",
}


@pytest.mark.parametrize("value", REFUSED)
def test_bad_values(value):
    with pytest.raises(saltare.ConfigError) as caught:
        saltare.run("worker_apps:app", workers=2, worker_cpus=value, app_dir=os.path.dirname(__file__))
    assert str(caught.value).startswith(REFUSED[value])


def test_many_missing_cpus_are_named_as_ranges():
    with pytest.raises(saltare.ConfigError, match=r", with CPU 3000-3002,4000, but this process may run on \d"):
        saltare.run("worker_apps:app", workers=2, worker_cpus="4000,3000-3002", app_dir=os.path.dirname(__file__))


def test_one_process_has_no_workers(ended):
    code, log = ended("worker_apps:app", "--worker-cpus", "auto")
    assert code == 2
    assert log == (
        "saltare: --worker-cpus: got 'auto', but there are no workers; write --workers as well, or start the server by "
        "taskset\n"
    )
