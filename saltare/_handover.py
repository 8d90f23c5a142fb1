"""What a process leaves to the program that takes its place by exec, with the code that is now on disk: per process.

The process stays the same: so do its pid, its children and the descriptors that it lets pass. Signals are blocked on
the way, for nobody could heed them; the new program takes them up when it can. Before it dares, it has a trial: a child
that starts by the same command, loads configuration and app, and ends.
"""

import os
import signal
import sys

from ._origin import MASTERS, STATE, TRIAL
from ._signal_pipe import HEEDED

PASSED = 99  # exit code of a trial that went well; a program that ends for other reasons of its own does not have it


class Command:
    """How this process was started, taken down before anything changed it."""

    def __init__(self, origin):
        self.arguments, environment, self.folder = origin
        self.environment = {name: value for name, value in environment.items() if name not in (STATE, TRIAL)}

    def repeatable(self):
        """Whether the same command would come here again; not that of a prompt or of a program read from a pipe."""
        file = getattr(sys.modules.get("__main__"), "__file__", "<stdin>")
        return bool(sys.executable) and (file != "<stdin>" or "-c" in self.arguments or "-m" in self.arguments)

    def try_out(self):
        """Starts the trial and returns its pid."""
        environment = {**self.environment, TRIAL: str(os.getpid())}
        here = os.open(".", os.O_PATH | os.O_CLOEXEC)
        try:
            os.chdir(self.folder)
            return os.posix_spawn(sys.executable, self.arguments, environment, setsigmask=(), setsigdef=HEEDED)
        finally:
            os.fchdir(here)
            os.close(here)

    def repeat(self, state, descriptors, masters=False):
        """Becomes the new program. Returns only by OSError, and then nothing has changed."""
        import marshal

        fd = os.memfd_create("saltare-handover", 0)
        with open(fd, "wb", closefd=False) as file:
            file.write(marshal.dumps(state))
        os.lseek(fd, 0, os.SEEK_SET)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, HEEDED)
        try:
            for one in descriptors:
                os.set_inheritable(one, True)
            os.chdir(self.folder)
            os.execve(
                sys.executable,
                self.arguments,
                {**self.environment, STATE: f"{os.getpid()}:{fd}{MASTERS if masters else ''}"},
            )
        finally:
            for one in descriptors:
                os.set_inheritable(one, False)
            os.close(fd)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def received():
    """What the program before us left, once; None when there was none."""
    pid, _, fd = os.environ.pop(STATE, "").removesuffix(MASTERS).partition(":")
    if pid != str(os.getpid()):
        return None
    import marshal

    with open(int(fd), "rb") as file:
        return marshal.load(file)


def is_trial():
    """Whether this process only is to find out if the app loads."""
    return os.environ.pop(TRIAL, None) == str(os.getppid())


def ended(code):
    """What became of a process, in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
