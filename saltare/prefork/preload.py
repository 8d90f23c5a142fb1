"""Decides where the app is imported: in the master, or in each worker.

The master imports it, unless the app starts threads: threads do not survive the fork of a worker, and code that needs
them waits for ever. Only the import shows this. A process with such threads must not fork, since locks that they hold
would never be released in the child. So a master started by the command line execs itself and leaves the import to its
workers. A program that calls run() must not run twice; there a child imports the app first and reports.
"""

import os
import select
from functools import partial

from .. import log
from ..process.attempt import shut, started
from ..process.programs import end_now

DO_NOT_SURVIVE = "threads do not survive the fork of a worker"


class Preload:
    """The decision of one master."""

    def __init__(self, config, command, command_line):
        self._config, self._command, self._command_line = config, command, command_line
        self._target, self._factory = config.app, config.factory
        self._here = False
        self.failed = False  # a successor could not import the app

    def load(self, inherited, trial):
        """Imports the app, if the master is to. AppError, ConfigError; neither if workers serve already."""
        if "threads" in inherited:
            self._leave_to_workers(inherited["threads"])
        elif self.by_master():
            if trial or not inherited.get("workers"):
                self._load(inherited, trial)
            else:
                self._load_again(inherited)

    def by_master(self):
        """Whether the master imports the app."""
        return self._config.preloads()

    def is_here(self):
        """Whether it has done so."""
        return self._here

    def workers_config(self):
        """The workers' configuration, by the same decision."""
        if not self.failed:
            return self._config
        config = type(self._config)({**self._config.values(), "preload": False}, self._config.sources)
        config.identity = self._config.identity
        return config

    def _load_again(self, inherited):
        """The trial passed, but files may have changed since. Workers serve, and new ones may retry the import."""
        from ..process.exit_codes import explained

        text, _ = explained(partial(self._load, inherited, False))
        if text:
            self.failed = True
            self._config.app, self._config.factory = self._target, self._factory
            log.write(text)
            log.error("SIGHUP: the new code cannot be loaded; the workers keep serving the old code")

    def _load(self, inherited, trial):
        from ..restart.fresh_code import FreshCode
        from .lost_threads import started_since, tasks

        undecided = self._config.preload == "auto" and isinstance(self._target, str) and not trial
        if undecided and not self._command_line:
            threads = started(threads_in_child, self._config)[0]
            if threads:
                self._leave_to_workers(threads)
                return
        before = tasks()
        self._import(FreshCode(bool(inherited) or trial))
        self._here = True
        threads = [] if trial else started_since(before)
        if threads and undecided and self._command_line and self._command.repeatable():
            state = {**inherited, "threads": threads}
            why = started(self._command.repeat, state, descriptors_of(inherited), True)[1]
            log.error(f"the master cannot restart: {why}")
        if threads:
            log.warning(
                f"the app has started threads at import ({', '.join(threads)}), and {DO_NOT_SURVIVE}: "
                "with --no-preload, and the app given as MODULE:ATTRIBUTE, each worker imports it and starts its own"
            )

    def _import(self, fresh_code):
        from ..app.importer import load
        from ..memory.shared_code import SharedCode

        with SharedCode(self._config.uses("shared-code")), fresh_code:
            load(self._config)

    def _leave_to_workers(self, threads):
        self._config.preload = False
        log.warning(
            f"the app starts threads at import ({', '.join(threads)}), and {DO_NOT_SURVIVE}: each worker imports the "
            "app itself; --no-preload does the same without this check, --preload forks nevertheless"
        )


def descriptors_of(inherited):
    """The inherited descriptors, which a successor passes on to the next."""
    table, bells = inherited.get("counters", (None, ()))
    listeners = [fd for fds in inherited.get("listeners", {}).values() for fd in fds]
    pipes = [worker[3] for worker in inherited.get("workers", ())]
    return [*listeners, *pipes, *bells, *([] if table is None else [table])]


def threads_in_child(config):
    """The names of the threads that an import of the app starts; [] if it starts none or the child fails. OSError."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    pid = None
    try:
        pid = os.fork()
        if pid == 0:
            try:
                report_threads(config, writer)
            finally:
                os._exit(1)
        shut(writer)
        writer = -1
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        limit = config.worker_start_timeout
        return received(reader) if poll.poll(limit * 1000 if limit else None) else []
    finally:
        if pid is not None:
            end_now(pid)
        shut(reader)
        shut(writer)


def report_threads(config, writer):
    """In the child. It prints nothing: a later import prints the same output and errors."""
    import marshal

    from .._process import die_with_parent
    from ..app.importer import load
    from .lost_threads import started_since, tasks

    die_with_parent()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for fd in (1, 2):
        os.dup2(nowhere, fd)
    before = tasks()
    load(config)
    os.write(writer, marshal.dumps(started_since(before)))
    os._exit(0)


def received(reader):
    import marshal

    data = os.read(reader, 1 << 16)
    return marshal.loads(data) if data else []
