"""The master forks workers, supervises them and replaces them.

It never loads the core, because a Go runtime does not survive fork(2): pure Python binds the sockets, imports the app
and waits. `_turn` is the whole loop: it waits for a signal, a line of a worker or a deadline, and acts on it. An idle
master makes no system calls.

A worker is starting until it reports that it serves, then serving, then leaving, from its SIGTERM until it has ended.
Its number is inherited by its successor; its slot in the table of counters is its own.

When the master ends, every worker ends at once. So no failure here may end it: what it starts returns "started" or
"why not" (process/attempt.py); every other action goes through Attempts.do, which logs the failure and makes the loop
check everything again a little later. Nothing depends on an event being seen the first time.
"""

import gc
import os
import select
import signal
import sys
import time

from .. import log
from ..errors import StartError
from ..memory.start_up import finish_start_up, finish_start_up_to_fork
from ..process import ignored, title
from ..process.attempt import reason, shut
from ..process.programs import end_now, waited
from ..process.signals import STOPPING
from ..process.terminal import hung_up
from ..restart.handover import Command, end_trial, is_trial, received
from ..restart.origin import origin
from ..serve.core import prepare, release
from .attempts import Attempts
from .failures import Failures
from .preload import Preload
from .renewal import Renewal
from .resources import Resources
from .service import Service
from .signal_pipe import STOP, SignalPipe
from .spawn import Spawner
from .worker_count import wanted_workers
from .workers import Workers

# Units: seconds.
RETRY = 0.1  # pause before the retry of a failed action
START_RETRIES = (0.1, 0.2, 0.5, 1.0, 2.0)  # pauses between a successor's attempts to start


class Master:
    """Serves one app with several processes, from `run` to its return."""

    def __init__(self, config, command_line=False):
        self.config = config
        self.url = None  # of the first listener
        self.after_start = None  # called once all workers serve
        self._attempts = Attempts()
        self._failures = Failures(config.reload)
        self._workers = Workers(config, self._attempts)
        self._service = Service(config, self._workers, self._failures, self._attempts, self._announce)
        self._resources = Resources()
        self._signals = SignalPipe()
        command = Command(origin())
        self._preload = Preload(config, command, command_line)
        self._renewal = Renewal(config, command, self._preload)
        self._poll = self._watcher = self._notifier = self._stalls = None

    @property
    def graceful(self):
        """No worker was killed or cut short."""
        return self._service.graceful

    def run(self):
        """Serves until stopped. Raises as a Server does; SystemExit when the end of a worker ends the server."""
        self._check_process()
        try:
            prepare(self.config)
            inherited = received() or {}
            trial = is_trial()
            if self.config.opened:
                inherited["listeners"], self.config.opened = self.config.opened, None
            self._preload.load(inherited, trial)
            if trial:
                end_trial()
            self._workers.adopt(inherited.get("workers", ()), inherited.get("at_limit", ()))
            self._retry(self._open, inherited)
            self._retry(self._signals.__enter__)
            try:
                self._retry(self._watch)
                self._supervise()
            finally:
                self._attempts.do("signals", self._signals.__exit__, None, None, None)
        finally:
            self._close()
        if self._service.outcome is not None:
            raise self._service.outcome

    def stop(self):
        """Stops gracefully; a second call, at once. May be called from any thread while it runs."""
        self._signals.send(STOP)

    # ---- before the first fork ----

    def _check_process(self):
        import threading

        if threading.current_thread() is not threading.main_thread():
            raise StartError("run() forks workers, so it must be called in the main thread")
        if not sys.modules.keys().isdisjoint(("saltare._core", "saltare._core_full")):
            raise StartError("a process that has served itself cannot fork workers: Go does not survive fork")

    def _retry(self, step, *arguments):
        """A step of the start. A failure ends the start, but is retried first while workers serve."""
        for pause in (*START_RETRIES, None):
            try:
                return step(*arguments)
            except OSError as error:
                if pause is None or not self._workers:
                    raise StartError(f"the master cannot start: {reason(error)}") from None
                log.error(f"the master cannot continue yet: {reason(error)}")
                time.sleep(pause)

    def _open(self, inherited):
        """May be retried after a failure."""
        for worker in self._workers:
            os.set_inheritable(worker.pipe, False)
        resources, config = self._resources, self._preload.workers_config()
        resources.open(self.config, inherited, self._workers)
        self.url = resources.listeners[0].url
        config.tickets = resources.tickets
        spawner = Spawner(config, resources.listeners, resources.counters, self._signals, resources.spare)
        self._workers.equip(spawner, resources.counters)
        if config.worker_timeout:
            from .stalls import Stalls

            self._stalls = Stalls(config.worker_timeout, self._workers, resources)
        if "NOTIFY_SOCKET" in os.environ:
            from ..process.notify import Notifier

            self._notifier = Notifier()
            self._notifier.reloads = bool(self._workers)  # of the previous program, which had a SIGHUP
            self._alive_at = time.monotonic()
        if self._workers:
            self._take_over(inherited)
        title.set_title("saltare:master")
        if self._preload.is_here():
            finish_start_up_to_fork(self.config)
        else:
            finish_start_up(self.config)

    def _take_over(self, inherited):
        """The previous program's workers serve. They are replaced, if the master has loaded the app. Those that still
        start have the old code, and may hang: they would only delay the new workers.
        """
        self._service.started = True
        workers = self._workers
        if workers.wanted == inherited["configured"] or not workers.has_slots(workers.wanted):
            workers.wanted = inherited["wanted"]
        if self._preload.failed:
            self._service.rollout.retry_limits()
        else:
            log.info(f"the master has loaded the new code (pid {os.getpid()}); its workers are replaced")
            workers.dismiss_starting()
            self._service.rollout.request_all()

    def _watch(self):
        self._poll = select.poll()
        self._poll.register(self._signals.fileno(), select.POLLIN)
        self._workers.watch(self._poll)
        if self.config.reload:
            from .reload import Watcher

            self._watcher = Watcher(self.config)
            self._listen_to_watcher()

    def _listen_to_watcher(self):
        self._workers.others = (self._watcher.fileno(),)
        self._poll.register(self._watcher.fileno(), select.POLLIN)

    # ---- the loop ----

    def _supervise(self):
        for step in (self._reap, self._workers.dismiss_surplus, self._roll_out, self._fill):
            self._attempts.do("the start", step)  # an inherited worker may have ended meanwhile
        if ignored.hang_ups():
            self._attempts.do("signal 1", self._on_signal, signal.SIGHUP)
        while self._workers or not self._service.stops:
            self._turn()

    def _turn(self):
        do = self._attempts.do
        ready = do("waiting", self._wait) or ()
        for worker in [one for one in self._workers if one.pipe in ready]:
            do(f"listening to {worker}", self._service.read, worker)
        for number in do("reading signals", self._signals.read) or ():
            do(f"signal {number}", self._on_signal, number)
        # After the signals: one that stops us may have ended the watcher and workers as well.
        if self._watcher is not None and self._watcher.fileno() in ready:
            do("listening to the watcher", self._changed)
        do("waiting for children", self._reap)
        if self._service.lost and do("waking the workers", self._wake):
            self._service.lost = False
        do("deadlines", self._check_deadlines)
        do("replacing workers", self._roll_out)
        do("starting workers", self._fill)
        if self._notifier is not None:
            self._report()

    def _report(self):
        """To systemd: the end of a reload, and that the master is alive."""
        notifier = self._notifier
        if notifier.reloads and self._service.is_settled() and self._renewal.trial.pid is None:
            notifier.ready()
        if notifier.interval is not None and self._service.started and self._alive_at <= time.monotonic():
            self._alive_at = time.monotonic() + notifier.interval
            notifier.alive()

    def _wait(self):
        timeout = self._timeout()
        if self._attempts.failed:
            self._attempts.failed = False
            time.sleep(RETRY)  # no busy loop when an action keeps failing
            timeout = 0
        self._service.finish_forking()
        return {fd for fd, _ in self._poll.poll(timeout)}

    def _timeout(self):
        """Milliseconds until the next deadline; None: no deadline."""
        deadlines = [worker.deadline for worker in self._workers if worker.deadline is not None]
        if self._service.stop_at is not None:
            deadlines.append(self._service.stop_at)
        if self._stalls is not None:
            deadlines.append(self._stalls.check_at)
        if self._notifier is not None and self._notifier.interval is not None and self._service.started:
            deadlines.append(self._alive_at)
        if self._renewal.trial.deadline is not None:
            deadlines.append(self._renewal.trial.deadline)
        if self._service.waits_to_fill() or self._service.rollout.waits():
            deadlines.append(self._failures.pause_until)
        if not deadlines:
            return None
        return max(0, (min(deadlines) - time.monotonic()) * 1000 + 1)

    def _on_signal(self, number):
        if number in (STOP, *STOPPING):
            if not self._service.stops:
                log.info(f"stopping: {signal.Signals(number).name if number else 'shutdown() was called'}")
            self._stop(self.config.drain_delay if number == signal.SIGTERM else 0.0)
        elif number == signal.SIGUSR1:
            self._workers.write_figures()
        elif self._service.stops:
            return
        elif number == signal.SIGHUP:
            self._stop() if hung_up() else self._renew()
        elif number == signal.SIGUSR2:
            self._workers.reopen_log()
        elif number == signal.SIGTTIN:
            self._service.resize(self._workers.wanted + 1)
        elif number == signal.SIGTTOU:
            self._service.resize(self._workers.wanted - 1)

    def _announce(self, flavour):
        """All workers serve."""
        if self._notifier is not None:
            self._notifier.ready()
        log.info(log.startup_line(self._resources.listeners, flavour, self._workers.wanted))
        if self.after_start is not None:
            self.after_start()

    def _wake(self):
        """The kernel may have notified only the lost worker of new connections."""
        self._resources.counters.ring()
        return True

    def _check_deadlines(self):
        self._renewal.trial.check()
        self._service.check_deadlines()
        for worker in self._stalls.check() if self._stalls is not None else ():
            self._service.abandon_stalled(worker, self.config.worker_timeout)
        if self._service.stop_is_due():
            self._resources.leave_listeners(self._attempts)
            self._service.end_delay()

    def _roll_out(self):
        if not self._service.stops:
            self._service.rollout.step()

    def _fill(self):
        self._workers.complete_start()
        self._resources.spare.fill()
        self._service.fill()

    # ---- the ends of children ----

    def _reap(self):
        for pid, status in self._ended():
            worker = self._workers.get(pid)
            if worker is not None:
                self._attempts.do(f"the end of {worker}", self._worker_ended, worker, status)
            elif pid == self._renewal.trial.pid:
                self._attempts.do("the end of the trial", self._trial_ended, status)

    def _ended(self):
        """(pid, status) of each of our children that has ended; as process 1 of a container, also of orphans."""
        if os.getpid() == 1:
            yield from iter(lambda: waited(-1), None)
            return
        trial = self._renewal.trial.pid
        for pid in [*(worker.pid for worker in self._workers), *([trial] if trial else [])]:
            one = waited(pid)
            if one is not None:
                yield one

    def _worker_ended(self, worker, status):
        self._service.ended(worker, status)
        if self._service.outcome is not None and not self._service.stops:
            self._stop()

    # ---- new code ----

    def _renew(self):
        """SIGHUP."""
        if self._notifier is not None:
            self._notifier.reloading()
        if self._watcher is not None:
            self._service.restart()
        elif self._renewal.request():
            self._service.rollout.request_all()

    def _trial_ended(self, status):
        trial = self._renewal.trial
        if self._service.stops:
            trial.pid = None
        elif trial.ended(status) == "passed":
            state, descriptors = self._resources.handed_over()
            state.update(workers=self._workers.records(), wanted=self._workers.wanted)
            state["at_limit"] = self._workers.at_limit()
            state["configured"] = wanted_workers(self.config)
            descriptors += [worker.pipe for worker in self._workers]
            self._renewal.become(self._resources.spare, state, descriptors, self._signals.put_back)

    def _changed(self):
        path = self._watcher.read()
        if path:
            log.info(f"{path} has changed: restarting")
            self._service.restart()
            return
        self._poll.unregister(self._watcher.fileno())
        self._workers.others = ()
        if self._service.stops:
            self._watcher.close()
        elif why := self._watcher.start_again():
            log.error(
                f"files are no longer watched: the program that does it has ended, and {why}; after a change, "
                f"kill -HUP {os.getpid()} restarts the app"
            )
        else:
            log.warning("the program that watches files has ended, and was started again")
            self._listen_to_watcher()

    # ---- the end ----

    def _stop(self, delay=0.0):
        self._renewal.trial.kill()
        self._attempts.do("the table of counters", self._resources.counters.unready)
        if self._notifier is not None:
            self._notifier.stopping()
        if delay and not self._service.stops:
            log.info(f"serving on for a drain_delay of {delay:g} s")
            self._service.delay_stop(delay)
            return
        self._resources.leave_listeners(self._attempts)
        self._service.stop()

    def _close(self):
        self._resources.leave_listeners(self._attempts)
        self._renewal.trial.give_up()
        for worker in self._workers:  # only if an error of ours ended the loop
            end_now(worker.pid)
            shut(worker.pipe)
        if self._watcher is not None:
            self._watcher.close()
        self._resources.close(self._attempts)
        self._attempts.do("the pid file", release, self.config)
        gc.unfreeze()
