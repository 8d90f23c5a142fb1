"""How this process was started, and whether another program has left it something.

What follows from it is in restart/handover.py, which few processes need.
"""

import os
import sys

STATE = "_SALTARE_HANDOVER"  # in the environment, pid:descriptor
MASTERS = ":master"  # behind it, when a master has left it
TRIAL = "_SALTARE_TRIAL"  # the pid of who wants to know

_origin = None


class Origin:
    """The command that started this process, taken down before the app could change any of it.

    `folder` is the name by which it was entered, symbolic links and all (PWD, as shells set it): where such a link is
    the release in use, starting again means starting in another folder. None when it has no name any more.
    `script` says that argument 1 is a program that was started by its first line, `#!/path/of/python`.
    """

    __slots__ = ("arguments", "environment", "folder", "script")

    def __init__(self):
        self.arguments = list(sys.orig_argv)
        self.environment = {name: value for name, value in os.environ.items() if name not in (STATE, TRIAL)}
        self.folder = current_folder()
        self.script = len(self.arguments) > 1 and interpreter_of(self.arguments[1]) == self.arguments[0]


def origin():
    """The Origin of this process, as it was when this was first called."""
    global _origin
    if _origin is None:
        _origin = Origin()
    return _origin


def current_folder():
    named = os.environ.get("PWD", "")
    try:
        if os.path.isabs(named) and os.path.samefile(named, "."):
            return named
    except OSError:
        pass
    try:
        return os.getcwd()
    except OSError:
        return None


def interpreter_of(path):
    """What the first line of a program names, alone and as an absolute path; else None."""
    try:
        with open(path, "rb") as file:
            line = file.readline(4096)
    except OSError:
        return None
    return os.fsdecode(line[2:].strip()) if line.startswith(b"#!/") else None


def is_successor():
    """Whether there is something to receive, or to try out."""
    return STATE in os.environ or TRIAL in os.environ
