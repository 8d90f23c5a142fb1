"""--reload: a separate program that watches files and writes the path of each that changes.

It is a process of its own because the master forks, and the watcher has threads.
"""

import os
import sys
import time
from contextlib import suppress

from .. import _process
from ..process.attempt import shut, started
from ..process.ignored import EARLY
from ..process.programs import encoded, end_now, pairs

IGNORED = ("__pycache__", "node_modules", "site-packages")  # and folders whose name starts with a dot
STEP, LONGEST = 50, 200  # milliseconds: a change is reported after STEP without another change, LONGEST at most
LOOKS = 0.3  # seconds between two looks at the files' times, where watchfiles is not installed
ALWAYS = ("*.py",)
BRIEF = 1.0  # seconds: a program that ends sooner cannot watch, or a signal came before it ignored signals
STARTS = 3  # programs in a row that may end so soon


class Watcher:
    """The program, in the master. OSError when it cannot be started."""

    def __init__(self, config):
        folders = [os.path.abspath(folder) for folder in config.reload_dir or [config.app_dir]]
        rules = repr((folders, (*ALWAYS, *config.reload_include), config.reload_exclude))
        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        code = f"import sys; sys.path.append({root!r}); from saltare.prefork.reload import watch; watch(*{rules})"
        self._command = encoded([sys.executable, "-c", code])
        self._brief = 0  # how many in a row have ended so soon
        self._reader = -1
        self._start()

    def _start(self):
        reader, writer = os.pipe2(os.O_CLOEXEC)
        try:
            self._pid = _process.spawn(self._command[0], self._command, pairs(os.environ), None, writer)
        except BaseException:
            shut(reader)
            raise
        finally:
            shut(writer)
        self._reader, self._born = reader, time.monotonic()

    def start_again(self):
        """Replaces the program, which has ended. Returns why not, or None. `fileno` changes; -1 without a program."""
        self.close()
        self._brief = self._brief + 1 if time.monotonic() - self._born < BRIEF else 0
        if self._brief >= STARTS:
            return "it ends as soon as it starts"
        return started(self._start)[1]

    def fileno(self):
        return self._reader

    def read(self):
        """One changed path; "" when the program has ended."""
        return os.read(self._reader, 1 << 16).decode(errors="backslashreplace").partition("\n")[0]

    def close(self):
        if self._reader >= 0:
            end_now(self._pid)
            shut(self._reader)
            self._reader = -1


# ---- in the program ----


def watch(folders, include, exclude):
    """Writes a line for each change until the master has ended."""
    import signal

    for number in (signal.SIGINT, signal.SIGTERM, *EARLY):
        signal.signal(number, signal.SIG_IGN)  # sent to the process group; the master ends us

    def wanted(change, path):
        return is_wanted(path, folders, include, exclude)

    for paths in changes(folders, wanted):
        for path in paths:
            forget_compiled(path)
        os.write(1, f"{os.path.relpath(paths[0])}\n".encode())


def changes(folders, wanted):
    """Sorted paths of wanted files that have changed, time after time."""
    try:
        from watchfiles import watch
    except ImportError:
        yield from differences(folders, wanted)
        return
    for found in watch(*folders, watch_filter=wanted, step=STEP, debounce=LONGEST):
        yield sorted(path for _, path in found)


def differences(folders, wanted):
    """The same without watchfiles, by the files' times. Ends with the master, whose child this program is."""
    master = os.getppid()
    before = times(folders, wanted)
    while os.getppid() == master:
        time.sleep(LOOKS)
        now = times(folders, wanted)
        if paths := sorted({path for path, _ in before.items() ^ now.items()}):
            yield paths
        before = now


def times(folders, wanted):
    """path -> (time, size) of all wanted files."""
    found = {}
    for folder in folders:
        for outer, inner, names in os.walk(folder):
            inner[:] = [name for name in inner if name not in IGNORED and not name.startswith(".")]
            for name in names:
                path = os.path.join(outer, name)
                if wanted(None, path):
                    with suppress(OSError):
                        status = os.stat(path)
                        found[path] = status.st_mtime_ns, status.st_size
    return found


def is_wanted(path, folders, include, exclude):
    for folder in folders:
        inner = os.path.relpath(path, folder)
        if inner.startswith(".."):
            continue
        *outer, name = inner.split(os.sep)
        if any(part in IGNORED or part.startswith(".") for part in outer):
            return False
        return matches(inner, name, include) and not is_excluded(path, folder, exclude)
    return False


def is_excluded(path, folder, patterns):
    """Whether the file, or a folder that it is in, matches. Paths are also those from the working directory."""
    patterns = [os.path.normpath(one) for one in patterns]
    while patterns and path != folder:
        outer, name = os.path.split(path)
        if matches(os.path.relpath(path, folder), name, patterns) or matches(path, os.path.relpath(path), patterns):
            return True
        path = outer
    return False


def matches(path, name, patterns):
    from fnmatch import fnmatch

    return any(fnmatch(name, one) or fnmatch(path, one) for one in patterns)


def forget_compiled(path):
    """Python trusts a .pyc whose source has the same second and size, as after two quick changes."""
    from importlib.util import cache_from_source

    if path.endswith(".py"):
        with suppress(OSError, NotImplementedError):
            os.unlink(cache_from_source(path))
