"""The handover: a process becomes, by exec, a new program with the code now on disk, and passes it its state.

The pid, the children and the chosen descriptors stay. Signals are blocked across the exec, since nothing could handle
them; the new program unblocks them when it can.
"""

import os
import signal
import sys
from contextlib import suppress
from errno import ENOENT

from .. import _process
from ..process.attempt import shut
from ..process.ending import run_exit_functions
from ..process.programs import encoded, pairs
from ..process.signals import OF_A_MASTER, restore_mask
from .origin import MASTERS, STATE, TRIAL

PASSED = 99  # exit code of a trial that passed; a program that ends for another reason does not use it
ROOM = 16  # descriptors that an interpreter may need to start: more than any of its imports has open


class Command:
    """The command that started this process, to run again, in the same folder."""

    def __init__(self, origin):
        self._origin = origin
        self.folder = origin.folder

    def repeatable(self):
        """Whether the command would start the same program; false for a prompt or a program read from a pipe."""
        return bool(sys.executable) and not getattr(sys, "frozen", False) and has_program(self._origin.arguments)

    def try_out(self):
        """Starts the trial; returns its pid. It ends with us. OSError."""
        path, arguments = self._program()
        environment = {**self._origin.environment, TRIAL: str(os.getpid())}
        folder = None if self.folder is None else os.fsencode(self.folder)
        return _process.spawn(os.fsencode(path), encoded(arguments), pairs(environment), folder, -1)

    def _program(self):
        """(path, arguments). A program started by its `#!` line is executed itself: a new release may name another
        interpreter there.
        """
        arguments = self._origin.arguments
        if self._origin.script:
            return arguments[1], arguments[1:]
        return sys.executable, arguments

    def enter(self):
        """Enters the folder where the process was started, by its former name. OSError."""
        if self.folder is not None:
            os.chdir(self.folder)

    def check(self):
        """OSError when `repeat` would fail for a reason known beforehand."""
        path = self._program()[0]
        if self.folder is not None:
            os.stat(self.folder)
            path = os.path.join(self.folder, path)
        if not os.access(path, os.X_OK):
            raise OSError(ENOENT, os.strerror(ENOENT), path)
        check_room()

    def repeat(self, state, descriptors, masters=False, blocked=None):
        """Becomes the new program. On OSError nothing has changed; otherwise it does not return.

        `blocked` is called once signals are blocked: the new program gets those pending then.
        """
        import marshal

        check_room()
        fd = os.memfd_create("saltare-handover", 0)
        here = before = None
        try:
            with open(fd, "wb", closefd=False) as file:
                file.write(marshal.dumps(state))
            os.lseek(fd, 0, os.SEEK_SET)
            here = os.open(".", os.O_PATH | os.O_CLOEXEC)
            before = signal.pthread_sigmask(signal.SIG_BLOCK, OF_A_MASTER)
            for one in descriptors:
                os.set_inheritable(one, True)
            self.enter()
            marker = f"{os.getpid()}:{fd}{MASTERS if masters else ''}"
            path, arguments = self._program()
            environment = {**self._origin.environment, STATE: marker}
            if blocked is not None:
                blocked()
            os.execve(path, arguments, environment)
        finally:
            self._undo(fd, here, before, descriptors)

    def _undo(self, fd, here, before, descriptors):
        shut(fd)
        if here is not None:
            with suppress(OSError):
                os.fchdir(here)
            shut(here)
        for one in descriptors:
            with suppress(OSError):
                os.set_inheritable(one, False)
        if before is not None:
            restore_mask(before)


def check_room():
    """OSError when a new program would lack descriptors and could not even log that."""
    taken = []
    try:
        for _ in range(ROOM):
            taken.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
    finally:
        for fd in taken:
            shut(fd)


def has_program(arguments):
    """Whether the arguments of an interpreter name what it runs: a file, -c CODE or -m MODULE."""
    rest = iter(arguments[1:])
    for argument in rest:
        if argument == "-" or argument == "--":
            return False
        if not argument.startswith("-"):
            return True
        if argument.startswith("--"):
            takes_next = argument == "--check-hash-based-pycs"
        else:
            letter = next((one for one in argument[1:] if one in "cmWX"), "")
            if letter in ("c", "m"):
                return True
            takes_next = bool(letter) and argument.endswith(letter)
        if takes_next:
            next(rest, None)
    return False


def received(config=None):
    """The state from the previous program, once; None if there was none. A `config` gets the secret of tickets."""
    pid, _, fd = os.environ.pop(STATE, "").removesuffix(MASTERS).partition(":")
    if pid != str(os.getpid()):
        return None
    import marshal

    with open(int(fd), "rb") as file:
        state = marshal.load(file)
    if config is not None and "tickets" in state:
        from ..process.tickets import Tickets

        config.tickets = Tickets(state["tickets"])
    return state


def is_trial():
    """Whether this process only tests that the app loads."""
    return os.environ.pop(TRIAL, None) == str(os.getppid())


def end_trial():
    """The trial passed: exits at once, without waiting for threads of the app."""
    try:
        run_exit_functions()
    finally:
        os._exit(PASSED)
