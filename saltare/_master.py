"""The master: forks the workers, watches over them and replaces them: per process.

It never loads the core, because a Go runtime does not survive fork(2): pure Python binds the sockets, imports the app
and waits. `_turn` is all it does: it waits for a signal, a line of a worker or a deadline, and looks at what follows.
An idle one makes no system call.

A worker is starting until it says that it serves, then serving, then leaving, from the SIGTERM that asks it to until it
has ended. Its number is that of its place, which a successor takes over; its slot in the table of counters is its own.
"""

import gc
import os
import select
import signal
import sys
import time
from contextlib import suppress

from . import _logging, _title
from ._counters import Counters
from ._handover import PASSED, Command, ended, is_trial, received
from ._origin import origin
from ._settle import rest_from_forking, settle, settle_to_fork
from ._signal_pipe import HEEDED, STOP, SignalPipe, hung_up
from ._signals import HURRY, STOPPING
from ._worker import FAILED, REPLACE, SEPARATOR, SERVES, Place, live
from .errors import AppError, ConfigError, StartError

STARTING, SERVING, LEAVING = "starting", "serving", "leaving"

# Units: seconds.
CUT = 3.0  # that a worker has to end once it was told twice, and beyond its own shutdown_timeout
BRIEF = 10.0  # a life shorter than this counts as a failure
LONGEST_PAUSE = 30.0  # between two starts of what fails again and again
FIRST_PAUSE = 0.25
SPARE_SLOTS = 16  # for workers that leave while their successors serve, and for SIGTTIN


class Worker:
    """What the master knows of one."""

    def __init__(self, pid, number, slot, pipe):
        self.pid, self.number, self.slot, self.pipe = pid, number, slot, pipe
        self.state = STARTING
        self.served = False
        self.born = time.monotonic()
        self.deadline = None  # what happens then depends on the state
        self.replaces = None  # the worker that leaves once this one serves
        self.words = b""  # the beginning of a line

    def __repr__(self):
        return f"worker {self.number} (pid {self.pid})"

    def age(self):
        return time.monotonic() - self.born


class Master:
    """Serves one app by several processes, from `run` to its return."""

    def __init__(self, config):
        self.config = config
        self.started = False  # all workers serve
        self.graceful = True  # nobody had to be killed or cut short
        self.url = None  # of the first listener
        self.after_start = None  # called once all workers serve
        self._workers = {}  # by pid
        self._wanted = wanted_workers(config)
        self._queue = []  # workers to be replaced, one at a time
        self._failures = 0  # in a row
        self._spawn_at = 0.0  # not before
        self._stopping = 0  # how often it was told to
        self._outcome = None  # the exception that the end is, when that is not a graceful stop
        self._shown = set()  # failures of this start that were shown
        self._signals = SignalPipe()
        self._trial = None  # pid
        self._watcher = None
        self._command = Command(origin())

    def run(self):
        """Serves until it is stopped. The errors are a Server's; SystemExit when a worker's end is that of all."""
        inherited = received()
        trial = is_trial()
        self._prepare()
        if trial:
            raise SystemExit(PASSED)
        self._open(inherited or {})
        try:
            with self._signals:
                self._watch()
                self._supervise()
        finally:
            self._close()
        if self._outcome is not None:
            raise self._outcome

    def stop(self):
        """Stops gracefully, a second time at once. May be called from any thread while it runs."""
        self._signals.send(STOP)

    # ---- before the first fork ----

    def _prepare(self):
        import threading

        if threading.current_thread() is not threading.main_thread():
            raise StartError("workers are forked by the main thread only: run() was called in another one")
        if "saltare._core" in sys.modules:
            raise StartError("workers cannot be forked by a process that has served itself: Go does not survive fork")
        _logging.configure(self.config)
        if self.config.preloads():
            from ._importer import load
            from ._shared_code import SharedCode

            with SharedCode():
                load(self.config)

    def _open(self, inherited):
        from ._sockets import open_listeners

        self._pid = os.getpid()
        self._listeners = open_listeners(self.config, inherited.get("listeners"))
        self.url = self._listeners[0].url
        self._counters = self._table(inherited)
        self._adopt(inherited)
        _title.set_title("saltare:master")
        self._check_threads()
        if self.config.preloads():
            settle_to_fork(self.config.park_memory)
        else:
            settle()

    def _table(self, inherited):
        if "counters" in inherited:
            table = Counters.inherited(*inherited["counters"])
            if table is not None:
                return table
        return Counters.made(self._wanted * 2 + SPARE_SLOTS)

    def _adopt(self, inherited):
        """Takes over the workers of the program whose place we took; they are to be replaced."""
        for pid, number, slot, pipe, state, replaces in inherited.get("workers", ()):
            worker = self._workers[pid] = Worker(pid, number, slot, pipe)
            worker.state, worker.replaces = state, replaces
            worker.deadline = self._patience() if state == LEAVING else None
        for worker in self._workers.values():
            worker.replaces = self._workers.get(worker.replaces)
        if self._workers:
            self.started = True
            if self._wanted == inherited["configured"] or not self._has_slots(self._wanted):
                self._wanted = inherited["wanted"]
            _logging.info(f"the master has loaded the app anew (pid {os.getpid()}); its workers are replaced")
            self._queue = [worker for worker in self._workers.values() if worker.state != LEAVING]

    def _check_threads(self):
        threads = sys.modules["threading"].enumerate()[1:] if "threading" in sys.modules else []
        if threads:
            names = ", ".join(sorted(thread.name for thread in threads))
            _logging.warning(
                f"the app has started threads at import ({names}), and threads do not survive the fork of a worker: "
                "with --no-preload each worker imports the app, and has them"
            )

    def _watch(self):
        self._poll = select.poll()
        self._poll.register(self._signals.fileno(), select.POLLIN)
        for worker in self._workers.values():
            self._poll.register(worker.pipe, select.POLLIN)
        if self.config.reload:
            from ._reload import Watcher

            self._watcher = Watcher(self.config)
            self._poll.register(self._watcher.fileno(), select.POLLIN)

    # ---- the loop ----

    def _supervise(self):
        self._reap()  # who ended while we were not looking
        self._dismiss_surplus()
        self._roll()
        self._fill()
        while self._workers or not self._stopping:
            self._turn()

    def _turn(self):
        ready = {fd for fd, _ in self._poll.poll(self._timeout())}
        for worker in [one for one in self._workers.values() if one.pipe in ready]:
            self._hear(worker)
        if self._watcher is not None and self._watcher.fileno() in ready:
            self._changed(self._watcher.read())
        for number in self._signals.read():
            self._heed(number)
        self._reap()  # after the signals, for one that stops us may have reached the workers as well
        self._on_time()
        self._roll()
        self._fill()

    def _timeout(self):
        """Milliseconds until the next deadline; None for ever."""
        deadlines = [worker.deadline for worker in self._workers.values() if worker.deadline is not None]
        if (self._missing() and not self._waits_for_change()) or (self._queue and not self._starting()):
            deadlines.append(self._spawn_at)
        if not deadlines:
            return None
        return max(0, (min(deadlines) - time.monotonic()) * 1000 + 1)

    def _heed(self, number):
        if number in (STOP, *STOPPING):
            if not self._stopping:
                _logging.info(f"stopping: {signal.Signals(number).name if number else 'shutdown() was called'}")
            self._stop()
        elif self._stopping:
            return
        elif number == signal.SIGHUP:
            self._stop() if hung_up() else self._renew()
        elif number == signal.SIGTTIN:
            self._resize(self._wanted + 1)
        elif number == signal.SIGTTOU:
            self._resize(self._wanted - 1)

    def _on_time(self):
        now = time.monotonic()
        for worker in list(self._workers.values()):
            if worker.deadline is None or worker.deadline > now:
                continue
            worker.deadline = None
            if worker.state == SERVING:
                self._asks_for_replacement(worker, f"its {worker.age():.0f} s are over")
                continue
            if worker.state == STARTING:
                _logging.error(f"{worker} did not start within {self.config.worker_start_timeout:g} s: it is killed")
            else:
                self._cut_short()
                _logging.error(f"{worker} did not end in time: it is killed")
            self._kill(worker, signal.SIGKILL)

    # ---- one worker ----

    def _missing(self):
        """The numbers of those places that nobody fills. While files are watched the old worker goes first."""
        if self._stopping:
            return []
        filled = {one.number for one in self._workers.values() if one.state != LEAVING or self._watcher is not None}
        return [number for number in range(1, self._wanted + 1) if number not in filled]

    def _starting(self):
        return any(worker.state == STARTING for worker in self._workers.values())

    def _waits_for_change(self):
        return self._watcher is not None and self._failures > 0

    def _fill(self):
        if time.monotonic() < self._spawn_at or self._waits_for_change():
            return
        for number in self._missing():
            self._spawn(number)

    def _spawn(self, number, replaces=None):
        slot = self._counters.take()
        if slot == 0:
            self._fail_spawn(f"worker {number} cannot be started: all {self._counters.slots} slots are taken")
            return
        reader, writer = os.pipe2(os.O_CLOEXEC)
        try:
            pid = self._fork(number, slot, writer)
        except OSError as error:
            os.close(reader)
            self._counters.give_back(slot)
            self._fail_spawn(f"worker {number} cannot be started: fork: {error.strerror}")
            return
        finally:
            os.close(writer)
        worker = self._workers[pid] = Worker(pid, number, slot, reader)
        worker.replaces = replaces
        if self.config.worker_start_timeout:
            worker.deadline = worker.born + self.config.worker_start_timeout
        self._poll.register(reader, select.POLLIN)

    def _fail_spawn(self, text):
        _logging.error(text)
        self._pause()

    def _pause(self):
        now = time.monotonic()
        self._failures = 1 if now > self._spawn_at + BRIEF else self._failures + 1
        self._spawn_at = now + min(FIRST_PAUSE * 2 ** (self._failures - 1), LONGEST_PAUSE)

    def _fork(self, number, slot, writer):
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()  # else the child would write it once more
        before = signal.pthread_sigmask(signal.SIG_BLOCK, HEEDED)
        try:
            pid = os.fork()
            if pid == 0:
                self._become_worker(number, slot, writer, before)
            return pid
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _become_worker(self, number, slot, writer, mask):
        """In the child: leaves behind what is the master's. It does not return."""
        try:
            for fd in [worker.pipe for worker in self._workers.values()]:
                os.close(fd)
            if self._watcher is not None:
                self._watcher.leave()
            self._signals.leave()
            place = Place(self.config, self._listeners, self._counters.fd, number, slot, writer)
            live(place, self._pid, self._signals.before, mask)
        finally:
            os._exit(1)

    def _hear(self, worker):
        """Takes up what a worker has written."""
        data = os.read(worker.pipe, 1 << 16)
        if not data:
            self._unwatch(worker)
            return
        *lines, worker.words = (worker.words + data).split(b"\n")
        for line in lines:
            word, _, text = line.decode().partition(" ")
            WORDS[word](self, worker, text.replace(SEPARATOR, "\n"))

    def _serves(self, worker, flavour):
        if worker.state != STARTING:
            return
        worker.state, worker.served = SERVING, True
        lifetime = self.config.limit_worker_lifetime
        worker.deadline = worker.born + lifetime if lifetime else None
        if worker.replaces is not None:
            self._dismiss(worker.replaces)
            worker.replaces = None
        if self.started:
            _logging.info(f"{worker} serves")
        elif all(one.state == SERVING for one in self._workers.values()) and not self._missing():
            self._start_is_over(flavour)
        if not self._starting():
            rest_from_forking()  # nothing happens here for a long time

    def _start_is_over(self, flavour):
        self.started = True
        self._shown.clear()
        _logging.info(_logging.startup_line(self._listeners, flavour, len(self._workers)))
        if self.after_start is not None:
            self.after_start()

    def _asks_for_replacement(self, worker, why):
        if worker.state == SERVING and worker not in self._queue:
            _logging.info(f"{worker} is replaced: {why}")
            self._queue.append(worker)

    def _shows_failure(self, worker, text):
        # All workers of one start fail alike: once is enough.
        if text not in self._shown:
            self._shown.add(text)
            _logging.write(text)

    def _dismiss(self, worker):
        """Asks a worker to finish what is in progress and to end."""
        if worker.pid in self._workers and worker.state != LEAVING:
            worker.state = LEAVING
            worker.deadline = self._patience()
            self._kill(worker, signal.SIGTERM)

    def _patience(self):
        """Until when a worker that leaves may take: its drain and its lifespan have shutdown_timeout each."""
        timeout = self.config.shutdown_timeout
        return time.monotonic() + 2 * timeout + CUT if timeout else None

    def _kill(self, worker, number):
        with suppress(ProcessLookupError):  # it has ended; _reap will come by
            os.kill(worker.pid, number)

    # ---- the end of one ----

    def _reap(self):
        for pid, status in self._ended():
            worker = self._workers.get(pid)
            if worker is not None:
                self._bury(worker, status)
            elif pid == self._trial:
                self._trial = None
                self._tried(os.waitstatus_to_exitcode(status))

    def _ended(self):
        """(pid, status) of each child of ours that has ended; as process 1 of a container also of others' orphans."""
        if os.getpid() == 1:
            return list(iter(lambda: waited(-1), None))
        ours = [*self._workers, *([self._trial] if self._trial else [])]
        return [one for one in map(waited, ours) if one is not None]

    def _bury(self, worker, status):
        self._hear_last_words(worker)
        del self._workers[worker.pid]
        if worker in self._queue:
            self._queue.remove(worker)
        os.close(worker.pipe)
        self._counters.give_back(worker.slot)
        code = os.waitstatus_to_exitcode(status)
        if worker.state == LEAVING:
            self._left(worker, code)
        elif not self.started and worker.state == STARTING:
            self._start_failed(worker, code)
        else:
            self._lost(worker, code)

    def _hear_last_words(self, worker):
        os.set_blocking(worker.pipe, False)
        with suppress(BlockingIOError):  # a child of the app still has the other end
            self._hear(worker)
        self._unwatch(worker)

    def _unwatch(self, worker):
        with suppress(KeyError):
            self._poll.unregister(worker.pipe)

    def _left(self, worker, code):
        if worker.served and code not in (0, -signal.SIGTERM, -HURRY):
            self._cut_short()
            _logging.warning(f"{worker} {ended(code)} while it was to end")

    def _cut_short(self):
        """A worker has not ended as it was to. Of the whole it says something only when that is to end too."""
        if self._stopping:
            self.graceful = False

    def _start_failed(self, worker, code):
        """Of the first workers one has not come to serve: there is no use in going on."""
        if self._stopping:
            return
        if self._watcher is not None:
            self._wait_for_change(worker, code)
            return
        error = {1: StartError, 2: ConfigError}.get(code, AppError)
        self._outcome = error(f"{worker} {ended(code)} before it served")
        self._stop()

    def _wait_for_change(self, worker, code):
        self._failures += 1
        why = "" if code in (1, 2, 3) else f"{worker} {ended(code)}; "
        _logging.error(f"{why}a change of a file starts the app again")

    def _lost(self, worker, code):
        """One that was to go on has ended. Connections that only it was told of may wait."""
        self._counters.ring()
        if worker.replaces is not None:
            self._give_up_replacing(worker, code)
            return
        _logging.error(f"{worker} {ended(code)}")
        if self._watcher is not None:
            self._wait_for_change(worker, code)
        elif self.config.worker_failure == "exit":
            self._outcome = SystemExit(code if code >= 0 else 128 - code)
            self._stop()
        elif worker.state == STARTING or worker.age() < BRIEF:
            self._pause()

    def _give_up_replacing(self, worker, code):
        old = worker.replaces
        _logging.error(f"{worker} {ended(code)} before it served; {old} stays, with the code it has")
        self._pause()
        self._queue.clear()
        limits = self.config.limit_max_requests, self.config.limit_max_rss, self.config.limit_worker_lifetime
        if any(limits) and old.state == SERVING:
            old.deadline = time.monotonic() + LONGEST_PAUSE  # then it is tried again

    # ---- all of them ----

    def _stop(self):
        self._stopping += 1
        self._queue.clear()
        self._leave_listeners()
        for worker in self._workers.values():
            if self._stopping == 1:
                self._dismiss(worker)
            else:
                self.graceful = False
                worker.deadline = time.monotonic() + CUT
                self._kill(worker, HURRY)

    def _leave_listeners(self):
        """The workers have their own, until they have taken what waits there; then whoever comes is refused."""
        for listener in self._listeners:
            listener.close()

    def _renew(self):
        """SIGHUP: other workers, with the code that is on disk now."""
        if self._watcher is not None:
            self._restart()
        elif not self.config.preload:
            self._queue_all()
        elif not self._command.repeatable():
            _logging.warning("this program cannot be started again: the new workers have the code of the old ones")
            self._queue_all()
        elif self._trial is None:
            _logging.info("SIGHUP: the code on disk is tried")
            self._trial = self._command.try_out()

    def _queue_all(self):
        self._forget_failures()
        self._queue += [one for one in self._workers.values() if one.state != LEAVING and one not in self._queue]

    def _forget_failures(self):
        """What comes now is another start, by somebody's will."""
        self._failures, self._spawn_at = 0, 0.0
        self._shown.clear()

    def _tried(self, code):
        if self._stopping:
            return
        if code != PASSED:
            _logging.error(f"SIGHUP: the code on disk {ended(code)}; the workers go on with what they have")
            return
        try:
            self._command.repeat(*self._legacy(), masters=True)
        except OSError as error:
            _logging.error(f"SIGHUP: {sys.executable} cannot be started: {error.strerror}")

    def _legacy(self):
        """What the next program needs to know, and the descriptors it needs to have."""
        listeners = {}
        for one in self._listeners:
            listeners.setdefault(one.key, []).append(one.fileno())
        table, bells = self._counters.handed_over()
        workers = [
            (one.pid, one.number, one.slot, one.pipe, one.state, one.replaces and one.replaces.pid)
            for one in self._workers.values()
        ]
        state = {"listeners": listeners, "counters": (table, bells), "workers": workers, "wanted": self._wanted}
        state["configured"] = wanted_workers(self.config)
        kept = (
            [one.fileno() for one in self._listeners] + [table, *bells] + [one.pipe for one in self._workers.values()]
        )
        return state, kept

    def _resize(self, wanted):
        if wanted < 1 or self._watcher is not None:
            return
        if not self._has_slots(wanted):
            return
        self._wanted = wanted
        _logging.info(f"workers wanted: {wanted}")
        self._dismiss_surplus()

    def _has_slots(self, wanted):
        """Twice as many as workers, since each may have a successor while it leaves."""
        enough = wanted * 2 <= self._counters.slots
        if not enough:
            _logging.warning(f"there is no room for {wanted} workers; stop, and start again with another --workers")
        return enough

    def _dismiss_surplus(self):
        for worker in list(self._workers.values()):
            if worker.number > self._wanted:
                self._dismiss(worker)

    def _roll(self):
        """Replaces the workers of the queue: one at a time, and the old one goes only when the new one serves."""
        if self._stopping or self._starting():
            return
        while self._queue and time.monotonic() >= self._spawn_at:
            old = self._queue.pop(0)
            if old.state == SERVING and old.number <= self._wanted:
                self._spawn(old.number, replaces=old)
                return

    def _changed(self, path):
        if path:
            _logging.info(f"{path} has changed: restarting")
            self._restart()
        else:
            _logging.error("files are no longer watched")
            self._poll.unregister(self._watcher.fileno())

    def _restart(self):
        """The worker goes, and when it is gone another one comes, with the code that is on disk then."""
        self._forget_failures()
        for worker in self._workers.values():
            self._dismiss(worker)

    def _close(self):
        for worker in self._workers.values():  # when an error of ours ended the loop
            self._kill(worker, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(worker.pid, 0)
        if self._watcher is not None:
            self._watcher.close()
        self._leave_listeners()
        self._counters.close()
        gc.unfreeze()
        self.started = False


WORDS = {SERVES: Master._serves, REPLACE: Master._asks_for_replacement, FAILED: Master._shows_failure}


def waited(pid):
    """(pid, status) of a child that has ended, or None."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return (pid, 0) if pid > 0 else None  # somebody else has waited for it
    return (found, status) if found else None


def wanted_workers(config):
    """How many processes are to serve."""
    return config.workers or min(usable_cpus(), 4)


def usable_cpus():
    """The CPUs this process may run on, no more than the quota of its control group (cgroup-v2, cpu.max) is worth."""
    cpus = len(os.sched_getaffinity(0))
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:
            quota, period = file.read().split()
        return min(cpus, max(1, -(-int(quota) // int(period))))
    except (OSError, ValueError):  # no such file, or "max"
        return cpus
