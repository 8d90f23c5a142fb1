"""Detects whether anything has modified the interpreter that runs the command line.

If not, a clean interpreter replaces it. If so, saltare serves in this one, since a new one would lose the change:
coverage, profilers, debuggers, instrumentation, launchers that prepare sys.path.
"""

import os
import sys

from .. import cpython

COERCED = "LC_CTYPE"  # set by the interpreter itself where there is no locale (PEP 538)
# Programs that start another and read its memory, at the addresses it had at first.
SAMPLERS = "py-spy", "austin", "austinp"
HOOKS = "sitecustomize", "usercustomize"  # modules imported at start-up, if they exist


def touched():
    """What has modified the interpreter, for the log; None if nothing."""
    for look in (frozen, inspected, started_otherwise, watched, environment_changed, path_changed, hooked, threaded):
        if why := look():
            return why
    return None


def frozen():
    if not sys.executable or getattr(sys, "frozen", False):
        return "it is part of a frozen program"


def inspected():
    if sys.flags.inspect or sys.flags.interactive:
        return "a prompt follows (python -i)"


# ---- how it was started ----


def started_otherwise():
    kind, name = program(sys.orig_argv)
    # `-m uvicorn` comes here only in a process of `saltare as-uvicorn`.
    if (kind == "-m" and name in ("saltare", "uvicorn")) or (kind == "" and os.path.basename(name) == "saltare"):
        return None
    what = " ".join(part for part in (sys.orig_argv[0], kind, *name.splitlines()[:1]) if part)
    return f"it was started as {what}"


def program(arguments):
    """What an interpreter with these arguments runs: ("-m", module), ("-c", code), or ("", file)."""
    rest = iter(arguments[1:])
    for one in rest:
        if one == "--check-hash-based-pycs":
            next(rest, None)
        elif one == "-" or not one.startswith("-"):
            return "", one
        elif not one.startswith("--"):
            letter, value = option_with_value(one)
            if letter in ("c", "m"):
                return f"-{letter}", value or next(rest, "")
            if letter and not value:
                next(rest, None)
    return "", ""


def option_with_value(flags):
    """The letter in flags such as `-abW...` that takes a value, and the value attached to it; "" and "" if none."""
    for at, letter in enumerate(flags):
        if letter in "cmWX":
            return letter, flags[at + 1 :]
    return "", ""


# ---- who watches it ----


def watched():
    hooks = [sys.gettrace(), sys.getprofile(), *cpython.hooks_of_threads()]
    if any(hook is not None for hook in hooks):
        return "a trace or profile function is set"
    monitoring = getattr(sys, "monitoring", None)
    tools = [monitoring.get_tool(number) for number in range(6)] if monitoring else []
    if any(tools):
        return f"it is monitored by {', '.join(tool for tool in tools if tool)}"
    try:
        with open(f"/proc/{os.getppid()}/comm") as file:
            parent = file.read().rstrip()
    except OSError:
        return None
    if parent in SAMPLERS:
        return f"{parent} watches it"


def hooked():
    """Such a module may work only once. A distribution's own lies in the standard library and is harmless."""
    for name in HOOKS:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is not None and os.path.dirname(file) != standard_library():
            return f"{file} was run at its start"


def threaded():
    try:
        others = len(os.listdir("/proc/self/task")) - 1
    except OSError:
        return None
    if others:
        return f"it has {others} {'thread' if others == 1 else 'threads'} already"


# ---- what was changed in it ----


def environment_changed():
    try:
        with open("/proc/self/environ", "rb") as file:
            entries = file.read().split(b"\0")
    except OSError:
        return None
    first = {}
    for entry in entries:
        name, equals, value = entry.partition(b"=")
        if equals and name:
            first.setdefault(name, value)
    now = os.environb
    changed = [name for name in {*first, *now} if first.get(name) != now.get(name) and os.fsdecode(name) != COERCED]
    if changed:
        return f"environment variables have been changed: {', '.join(sorted(map(os.fsdecode, changed)))}"


def path_changed():
    """A new interpreter has its own entries, those of PYTHONPATH and those of .pth files."""
    expected = {"", os.getcwd(), *script_folder(), *standard_paths(), *python_path()}
    folders, lines = site_folders(), []
    unknown = sys.path
    while folders:
        for folder in folders:
            paths, code = pth_files(folder)
            expected |= {folder, *paths}
            lines += code
        unknown = [entry for entry in unknown if entry not in expected]
        folders = [entry for entry in unknown if any(entry in line for line in lines)]  # site.addsitedir, for example
    if unknown:
        return f"sys.path has entries that a new interpreter would not have: {', '.join(map(str, unknown))}"


def script_folder():
    kind, name = program(sys.orig_argv)
    return [] if kind else {os.path.dirname(os.path.abspath(name)), os.path.dirname(os.path.realpath(name))}


def standard_library():
    return os.path.dirname(os.__file__)


def standard_paths():
    folder = standard_library()
    found = {entry for entry in sys.path if os.path.basename(entry) in ("lib-dynload", zip_name())}
    return {folder, *found}


def zip_name():
    return f"python{sys.version_info[0]}{sys.version_info[1]}.zip"


def python_path():
    if sys.flags.ignore_environment:
        return []
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [*entries, *map(os.path.abspath, entries)]


def site_folders():
    site = sys.modules.get("site")
    if site is None or sys.flags.no_site:
        return []
    return [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]


def pth_files(folder):
    """The entries that a folder's .pth files add to sys.path, and the lines of code in them."""
    paths, code = [], []
    try:
        names = [name for name in os.listdir(folder) if name.endswith(".pth")]
    except OSError:
        return paths, code
    for name in names:
        try:
            with open(os.path.join(folder, name), errors="surrogateescape") as file:
                lines = [line.rstrip() for line in file if line.strip() and not line.startswith("#")]
        except OSError:
            continue
        for line in lines:
            if line.startswith(("import ", "import\t")):
                code.append(line)
            else:
                paths.append(os.path.abspath(os.path.join(folder, line)))
    return paths, code
