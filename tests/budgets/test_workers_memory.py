"""What a master and several workers hold together, and each worker alone."""

import time
from pathlib import Path

from measure import environment, floor

WORKERS = 4
PRIVATE_PER_WORKER = 3.7 * 1024  # KiB
OVER_IMPORT = 3 * 1024  # KiB of all processes together, above the RSS of a process that has only imported the app


def pss(pid):
    """PSS of the process, in KiB: a shared page counts in proportion."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return int(fields["Pss"].split()[0])


def children(pid):
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


def test_four_workers_idle(cli_server, tmp_path, capsys):
    """The second start, since the first fills the bytecode cache."""
    for _ in range(2):
        server = cli_server("app_fast:app", "--workers", WORKERS, env=environment(tmp_path))
        time.sleep(0.5)
        family = children(server.pid)
        private = [private_of(pid) for pid in family]
        total = sum(map(pss, [server.pid, *family]))
        server.stop()
    imported, _ = floor("app_fast", tmp_path)
    with capsys.disabled():
        print(f"\n{WORKERS} workers: Pss {total} KiB in all (import {imported}), private {private} KiB")
    assert len(private) == WORKERS
    assert max(private) <= PRIVATE_PER_WORKER
    assert total - imported <= OVER_IMPORT


def private_of(pid):
    """KiB that only this process has, written or not."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return sum(int(line.split()[1]) for line in text if line.startswith(("Private_Clean:", "Private_Dirty:")))
