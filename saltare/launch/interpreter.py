"""How the command line starts the interpreter that only serves; launch/first_steps.py is what that does first."""

import os
import sys

from .. import cpython


def clean_interpreter(code, values, sources, flags=()):
    """An interpreter that runs `code`: command, environment, and the descriptor of its input ({fd} in `code`)."""
    import marshal

    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    added = {} if "GOMAXPROCS" in os.environ else {"GOMAXPROCS": "1"}  # see maxProcs in gocore/export.go
    fd = handed_over(marshal.dumps((values, sources, sys.argv, sys.orig_argv, root, list(added), cpython.has_ssl())))
    code = f"import sys; sys.path.insert(0, {root!r}); {code.format(fd=fd)}"
    return [sys.executable, *interpreter_flags(), *flags, "-c", code], {**os.environ, **added}, fd


def keep_standard_descriptors():
    """Opens /dev/null as 0, 1 and 2 where they are closed: a socket with that number would receive stderr output."""
    fd = os.open(os.devnull, os.O_RDWR)
    while fd <= 2:
        os.set_inheritable(fd, True)
        fd = os.open(os.devnull, os.O_RDWR)
    os.close(fd)


def handed_over(data):
    """An inheritable descriptor of the data: unlike arguments and environment, no other process can read it."""
    fd = os.memfd_create("saltare-config", 0)
    with open(fd, "wb", closefd=False) as file:
        file.write(data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def interpreter_flags():
    flags = [*cpython.interpreter_flags(), "-X", "faulthandler"]
    # That function leaves out -u, and -X options it does not know.
    if getattr(sys.stdout, "write_through", False):
        flags.append("-u")
    for name, value in sys._xoptions.items():
        text = name if value is True else f"{name}={value}"
        if text not in flags:
            flags += ["-X", text]
    return flags


def become_module(module, arguments):
    """Execs an interpreter that runs the module, with the flags of this one."""
    command = [sys.executable, *cpython.interpreter_flags(), "-m", module, *arguments]
    os.execv(command[0], command)
