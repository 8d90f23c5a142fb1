"""Measures the import of an app, package by package, in a fresh interpreter of `saltare memory`.

`main` writes JSON to an inherited descriptor: the steps, each with the KiB it added, and the KiB of malloc's free
blocks at the end.
"""

import json
import os
import sys

from ..launch.run import needs_master
from ..memory import lazy_ssl


class Amount:
    """KiB of RSS, and the part private to the process: heap, stacks, written data."""

    __slots__ = ("private", "rss")

    def __init__(self, rss=0, private=0):
        self.rss, self.private = rss, private

    def __add__(self, other):
        return Amount(self.rss + other.rss, self.private + other.private)

    def __sub__(self, other):
        return Amount(self.rss - other.rss, self.private - other.private)


def held(pid="self"):
    """The Amount of a process."""
    fields = rollup(pid)
    return Amount(fields["Rss"], fields["Anonymous"])


def rollup(pid, file="smaps_rollup"):
    """The fields of a process's mappings, summed, in KiB."""
    fields = {}
    with open(f"/proc/{pid}/{file}", "rb") as mappings:
        for line in mappings:
            name, _, rest = line.partition(b":")
            if rest.endswith(b" kB\n"):
                fields[name.decode()] = fields.get(name.decode(), 0) + int(rest[:-4])
    return fields


class Meter:
    """Sums up imports from now on by top-level package, each module without those that it imports."""

    def __init__(self):
        self.added, self.modules = {}, {}
        self._nested = [Amount()]

    def install(self):
        from importlib import machinery

        for loader in (machinery.SourceFileLoader, machinery.SourcelessFileLoader, machinery.ExtensionFileLoader):
            loader.exec_module = self._metered(loader.exec_module, lambda module: module.__name__)
        loader = machinery.ExtensionFileLoader
        loader.create_module = self._metered(loader.create_module, lambda spec: spec.name)

    def _metered(self, method, name_of):
        def wrapper(loader, subject):
            before = held()
            self._nested.append(Amount())
            try:
                return method(loader, subject)
            finally:
                inside = held() - before
                own = inside - self._nested.pop()
                self._nested[-1] += inside
                self._add(name_of(subject), own)

        return wrapper

    def _add(self, name, own):
        package = name.partition(".")[0]
        self.added[package] = self.added.get(package, Amount()) + own
        self.modules.setdefault(package, set()).add(name)

    def steps(self):
        for package, amount in self.added.items():
            yield package, amount, len(self.modules[package])


def measured(config, has_ssl):
    """The steps, in order: (kind, name, Amount, modules)."""
    steps = [("interpreter", "interpreter", held(), 0)]
    if has_ssl and not needs_master(config):
        lazy_ssl.install()
    meter, at = Meter(), held()
    meter.install()
    for kind, step in (("asyncio", load_asyncio), ("app", lambda: load_app(config)), ("saltare", load_server)):
        step()
        now = held()
        rest = now - at
        for name, amount, modules in meter.steps():
            steps.append((kind, name, amount, modules))
            rest -= amount
        steps.append((kind, "", rest, 0))  # memory added between modules, and by the app's own calls
        meter.added.clear()
        meter.modules.clear()
        at = held()
    load_core(config)
    steps.append(("core", "Go core", held() - at, 0))
    return steps


def load_asyncio():
    import asyncio  # noqa: F401


def load_app(config):
    from ..app.importer import load
    from ..memory.shared_code import SharedCode

    with SharedCode(config.uses("shared-code")):
        load(config)


def load_server():
    from ..serve import selector, server  # noqa: F401


def load_core(config):
    from ..serve.core import module

    module(config).Core(options={}, scope={}, root_path="").close()


def free_blocks():
    """KiB in free blocks of malloc; None where unknown."""
    import ctypes

    class Info(ctypes.Structure):
        names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
        _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

    try:
        mallinfo = ctypes.CDLL(None).mallinfo2  # since glibc 2.33
    except AttributeError:
        return None
    mallinfo.restype = Info
    return mallinfo().fordblks // 1024


def main(fd, out):
    """Imports what a server of the configuration in descriptor `fd` would; writes the costs to `out`."""
    import gc

    from .. import _memory, log
    from ..launch.first_steps import clean_path, received
    from ..options.config import Config
    from ..process.exit_codes import explained

    values, sources, _, _, root, _, has_ssl = received(fd)
    _memory.configure()
    clean_path(root)
    steps = []
    text, code = explained(lambda: steps.extend(measured(Config(values, sources), has_ssl)))
    if code:
        log.write(text)
        os._exit(128 - code if code < 0 else code)
    gc.collect()
    _memory.trim()
    lines = [(kind, name, amount.rss, amount.private, modules) for kind, name, amount, modules in steps]
    with open(out, "w") as file:
        json.dump({"steps": lines, "free": free_blocks()}, file)
    sys.stdout.flush()
    os._exit(0)  # the app's threads and exit handlers are of no interest
