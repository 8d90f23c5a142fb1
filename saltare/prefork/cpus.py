"""The CPU of a worker (worker_cpus)."""

import os

from .. import log
from ..process.attempt import started


def pin(cpus, number):
    """For worker `number`, from 1, before it has other threads. A CPU that has gone leaves it where the master runs."""
    allowed = sorted(os.sched_getaffinity(0)) if cpus == "auto" else [int(cpu) for cpu in cpus.split(",")]
    cpu = allowed[(number - 1) % len(allowed)]
    why = started(os.sched_setaffinity, 0, [cpu])[1]
    if why is not None:
        log.warning(f"worker {number} cannot run on CPU {cpu} alone: {why}; it runs where the master does")
