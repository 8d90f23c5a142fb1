"""Memory of a process, and of an interpreter that has only imported the app."""

import os
import subprocess
import sys
from pathlib import Path

BUDGETS = Path(__file__).parent / "budgets"
FLOOR = """
import asyncio, sys
sys.path.insert(0, {here!r})
import {module}
print(open("/proc/self/smaps_rollup").read())
"""


def held(pid):
    """(RSS, private), in KiB; private means anonymous memory: heap, stacks, written data."""
    return parse(Path(f"/proc/{pid}/smaps_rollup").read_text())


def parse(rollup):
    fields = dict(line.split(":", 1) for line in rollup.splitlines()[1:] if ":" in line)
    return tuple(int(fields[name].split()[0]) for name in ("Rss", "Anonymous"))


def held_in(pid, field, *marks):
    """KiB of a field of /proc/PID/smaps ("Rss", "Anonymous"), over the mappings whose first line holds all marks."""
    total, counts = 0, False
    with open(f"/proc/{pid}/smaps") as lines:
        for line in lines:
            if "-" in line.split(" ", 1)[0]:
                counts = all(mark in line for mark in marks)
            elif counts and line.startswith(f"{field}:"):
                total += int(line.split()[1])
    return total


def environment(cache):
    """Bytecode is cached, as after installing a wheel: compiling leaves garbage in the heap."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(cache)}


def floor(module, cache):
    """(RSS, private) of an interpreter that has imported the module and asyncio."""
    code = FLOOR.format(here=str(BUDGETS), module=module)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(cache), capture_output=True, text=True, check=True
    )
    return parse(done.stdout)
