"""Where the app of several workers is imported, in the master or in each of them.

In the master, unless it starts threads: those do not survive the fork of a worker, and what needs them waits for ever.
That is only known once it is imported. A process with such threads forks nobody, since locks that they hold at that
moment would never be released in the child: the master of a command line begins once more, by exec, and leaves the
import to its workers. A program that calls run() must not be run twice; there a child imports the app first and tells.
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
        self.failed = False  # the app could not be imported, in a program that took the place of another

    def load(self, inherited, trial):
        """Imports the app, if that is for the master to do. AppError, ConfigError; not where workers serve already."""
        if "threads" in inherited:
            self._leave_to_workers(inherited["threads"])
        elif self.by_master():
            if trial or not inherited.get("workers"):
                self._load(inherited, trial)
            else:
                self._load_anew(inherited)

    def by_master(self):
        """Whether it is the master that imports."""
        return self._config.preloads()

    def is_here(self):
        """Whether it has done so."""
        return self._here

    def workers_config(self):
        """The configuration that says the same to the workers."""
        if not self.failed:
            return self._config
        return type(self._config)({**self._config.values(), "preload": False}, self._config.sources)

    def _load_anew(self, inherited):
        """The trial went well, but something has changed since. The workers are there, and new ones may try again."""
        from ..process.exit_codes import explained

        text, _ = explained(partial(self._load, inherited, False))
        if text:
            self.failed = True
            self._config.app, self._config.factory = self._target, self._factory
            log.write(text)
            log.error("SIGHUP: the code on disk cannot be loaded; the workers go on with what they have")

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
            log.error(f"the master cannot begin once more: {why}")
        if threads:
            log.warning(
                f"the app has started threads at import ({', '.join(threads)}), and {DO_NOT_SURVIVE}: "
                "with --no-preload, and the app given as MODULE:ATTRIBUTE, each worker imports it and has them"
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
            "app for itself; --no-preload asks for that from the beginning, --preload forks all the same"
        )


def descriptors_of(inherited):
    """What a program that took the place of another has to leave to a third."""
    table, bells = inherited.get("counters", (None, ()))
    listeners = [fd for fds in inherited.get("listeners", {}).values() for fd in fds]
    pipes = [worker[3] for worker in inherited.get("workers", ())]
    return [*listeners, *pipes, *bells, *([] if table is None else [table])]


def threads_in_child(config):
    """The names of the threads that an import of the app starts; [] when it starts none, or cannot report. OSError."""
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
    """In the child. What the app prints is the master's to print; its errors come again there."""
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
