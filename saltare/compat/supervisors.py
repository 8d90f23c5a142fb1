"""`uvicorn.supervisors`: runs `target(sockets=...)`, by default the server, in processes of their own.

`saltare.run` with workers or reload does not use it: its master forks. This is for programs that call
`ChangeReload(config, target=server.run, sockets=[sock]).run()` or Multiprocess themselves.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.connection import wait

from .. import log
from ..prefork.failures import Failures
from .config import STARTUP_FAILURE

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from multiprocessing.context import SpawnProcess
    from types import FrameType
    from typing import Any

    from .config import Config

__path__: "list[str]" = []  # its modules in uvicorn are this one
STOPPING = (signal.SIGINT, signal.SIGTERM)
PATIENCE = 5.0  # seconds that a process gets to end, after its requests and its lifespan


class Exit(threading.Event):
    """Set by a signal or by the program, in any thread; it ends the supervisor's wait."""

    def __init__(self) -> None:
        super().__init__()
        self.reader, self._writer = os.pipe()
        for fd in (self.reader, self._writer):
            os.set_blocking(fd, False)

    def set(self) -> None:
        super().set()
        self.wake()

    def wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full: it wakes up anyway
            os.write(self._writer, b"\0")

    def drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self.reader, 1 << 10)

    def __del__(self) -> None:
        for fd in (self.reader, self._writer):
            os.close(fd)


class Supervisor:
    """What both have in common: their processes, signals and the wait."""

    handled: "tuple[signal.Signals, ...]" = STOPPING

    def __init__(
        self,
        config: "Config",
        target: "Callable[..., Any] | None" = None,
        sockets: "Sequence[socket.socket] | None" = None,
    ) -> None:
        from .server import Server

        self.config = config
        self.target = target or Server(config).run
        self.sockets = list(sockets or ())
        self.processes: list[SpawnProcess] = []
        self.signal_queue: list[int] = []
        self.should_exit = Exit()
        self.pid = os.getpid()

    def run(self) -> None:
        """Returns once it is stopped and all processes have ended."""
        self.startup()
        try:
            while not self.should_exit.is_set():
                self.turn(set(wait(self.waits_for(), self.longest_wait())))
        finally:
            self.shutdown()

    def startup(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in self.handled:
                signal.signal(number, self.signal_handler)
        self.init_processes()

    def signal_handler(self, sig: int, frame: "FrameType | None" = None) -> None:
        if sig in STOPPING:
            self.should_exit.set()
        else:
            self.signal_queue.append(sig)
            self.should_exit.wake()

    def init_processes(self) -> None:
        """Starts the processes."""
        raise NotImplementedError

    def waits_for(self) -> "list[int]":
        return [self.should_exit.reader, *(process.sentinel for process in self.processes)]

    def longest_wait(self) -> "float | None":
        """In seconds; None: no limit."""
        return None

    def turn(self, ready: "set[Any]") -> None:
        """Acts on what the wait has reported."""
        raise NotImplementedError

    def start(self) -> "SpawnProcess":
        """A new process that runs the target."""
        arguments = (self.config, self.target, self.sockets, os.getpid())
        process = multiprocessing.get_context("spawn").Process(target=in_child, args=arguments)
        process.start()
        return process

    def end(self, process: "SpawnProcess") -> None:
        """Waits for a process that was asked to end; kills it when it does not end in time."""
        options = self.config.options()
        timeout = options.shutdown_timeout
        process.join(timeout + options.lifespan_patience() + PATIENCE if timeout else None)
        if process.is_alive():
            log.error(f"process {process.pid} did not end in time: it is killed")
            process.kill()
            process.join()

    def terminate_all(self) -> None:
        for process in self.processes:
            process.terminate()

    def join_all(self) -> None:
        for process in self.processes:
            self.end(process)

    def shutdown(self) -> None:
        self.terminate_all()
        self.join_all()
        for sock in self.sockets:
            sock.close()


class ChangeReload(Supervisor):
    """One process, which is replaced when a file changes."""

    @property
    def process(self) -> "SpawnProcess":
        return self.processes[0]

    def startup(self) -> None:
        from ..prefork.reload import Watcher

        self._watcher = Watcher(self.config.options(single=False))
        super().startup()

    def init_processes(self) -> None:
        self.processes = [self.start()]

    def waits_for(self) -> "list[int]":
        # A process that has ended is not replaced before a file changes.
        return [self.should_exit.reader, self._watcher.fileno()]

    def turn(self, ready: "set[Any]") -> None:
        self.should_exit.drain()
        if self._watcher.fileno() in ready:
            path = self._watcher.read()
            if not path:
                log.error("the process that watches files has ended: the server stops")
                self.should_exit.set()
                return
            log.warning(f"{path} has changed: the server is restarted")
            self.restart()

    def restart(self) -> None:
        self.terminate_all()
        self.join_all()
        self.init_processes()

    def shutdown(self) -> None:
        self._watcher.close()
        super().shutdown()


class Multiprocess(Supervisor):
    """As many processes as the configuration's `workers`; one that ends is replaced."""

    handled = (*STOPPING, signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU)

    def init_processes(self) -> None:
        self._failures = Failures(reload=False)
        self._since: dict[SpawnProcess, float] = {}  # the start of each that has not been seen to end
        self.processes = [self.start() for _ in range(self.config.workers)]

    def start(self) -> "SpawnProcess":
        process = super().start()
        self._since[process] = time.monotonic()
        return process

    def end(self, process: "SpawnProcess") -> None:
        self._since.pop(process, None)
        super().end(process)

    def waits_for(self) -> "list[int]":
        return [self.should_exit.reader, *(process.sentinel for process in self._since)]

    def longest_wait(self) -> "float | None":
        """Until the next one may be started in the place of one that has ended."""
        all_live = len(self._since) == len(self.processes)
        return None if all_live else max(0.0, self._failures.pause_until - time.monotonic())

    def turn(self, ready: "set[Any]") -> None:
        self.should_exit.drain()
        self.handle_signals()
        self.keep_subprocess_alive()

    def handle_signals(self) -> None:
        while self.signal_queue:
            number = self.signal_queue.pop(0)
            if number == signal.SIGHUP:
                self.restart_all()
            elif number == signal.SIGTTIN:
                self.processes.append(self.start())
            elif number == signal.SIGTTOU and len(self.processes) > 1:
                process = self.processes.pop()
                process.terminate()
                self.end(process)

    def keep_subprocess_alive(self) -> None:
        for index, process in enumerate(self.processes):
            if process.is_alive() or self.should_exit.is_set():
                continue
            if process in self._since:
                self._failures.pause_after(time.monotonic() - self._since.pop(process))
                process.join()
                if process.exitcode == STARTUP_FAILURE:
                    log.error(f"process {process.pid} could not start: the server stops")
                    self.should_exit.set()
                    return
                log.error(f"process {process.pid} has ended with code {process.exitcode}: another one is started")
            if not self._failures.pauses():
                self.processes[index] = self.start()

    def restart_all(self) -> None:
        """One after the other: the sockets are shared, so the others accept meanwhile."""
        self._failures.forget()
        for index, process in enumerate(self.processes):
            self.processes[index] = self.start()
            process.terminate()
            self.end(process)


BaseReload = StatReload = WatchFilesReload = ChangeReload


def in_child(config: "Config", target: "Callable[..., Any]", sockets: "list[socket.socket]", parent: int) -> None:
    """The life of a process."""
    from .. import _process

    _process.die_with_parent()
    if os.getppid() != parent:
        return
    config.configure_logging()
    with contextlib.suppress(KeyboardInterrupt):
        target(sockets=sockets)
