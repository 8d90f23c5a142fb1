"""How this process was started, and whether a previous program left it state.

restart/handover.py uses both; few processes load it.
"""

import os
import sys

STATE = "_SALTARE_HANDOVER"  # in the environment, pid:descriptor
MASTERS = ":master"  # suffix of its value, if a master left the state
TRIAL = "_SALTARE_TRIAL"  # the pid of the process that started the trial

_origin = None


class Origin:
    """The command that started this process, recorded before the app could change any of it.

    `folder` is the name by which it was entered, including symbolic links (PWD, as shells set it): where such a link
    names the current release, a restart enters another folder. None when the folder has no name any more.
    `script` says that argument 1 is a program that was started by its first line, `#!/path/of/python`.
    """

    __slots__ = ("arguments", "environment", "folder", "script")

    def __init__(self):
        self.arguments = list(sys.orig_argv)
        self.environment = {name: value for name, value in os.environ.items() if name not in (STATE, TRIAL)}
        self.folder = current_folder()
        self.script = len(self.arguments) > 1 and interpreter_of(self.arguments[1]) == self.arguments[0]


def origin():
    """The Origin of this process, recorded by the first call."""
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
    """The interpreter that a program's `#!` line names by absolute path, otherwise None."""
    try:
        with open(path, "rb") as file:
            line = file.readline(4096)
    except OSError:
        return None
    return os.fsdecode(line[2:].strip()) if line.startswith(b"#!/") else None


def is_successor():
    """Whether this process has received state, or is a trial."""
    return STATE in os.environ or TRIAL in os.environ
