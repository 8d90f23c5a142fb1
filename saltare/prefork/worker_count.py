"""The number of worker processes."""

import os


def wanted_workers(config):
    return config.workers or min(usable_cpus(), 4)


def usable_cpus():
    """The number of CPUs this process may use, within the quota of its control group (cgroup-v2, cpu.max)."""
    cpus = len(os.sched_getaffinity(0))
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:
            quota, period = file.read().split()
        return min(cpus, max(1, -(-int(quota) // int(period))))
    except (OSError, ValueError):  # no such file, or "max"
        return cpus
