"""`python -m saltare.as_uvicorn PROGRAM ARGS`: runs a Python program with saltare in the place of uvicorn.

The program is a file, a command on the PATH that is a Python script, or `-m MODULE`. Python processes that it starts
find saltare too, by PYTHONPATH.
"""

import os
import sys
from functools import partial

from . import log
from .errors import ConfigError

USAGE = "accepted: PROGRAM ARGS, where PROGRAM is a Python file, a Python command on the PATH, or -m MODULE"
HELP = f"""usage: saltare as-uvicorn PROGRAM ARGS

Runs a Python program with saltare in the place of uvicorn; {USAGE}."""


def main(arguments=None):
    """Runs the program to its end, in this process; returns an exit code only if it cannot be run."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in ("-h", "--help"):
        print(HELP, flush=True)
        return 0
    try:
        run = prepared(arguments)
    except ConfigError as error:
        log.write(f"saltare as-uvicorn: {error}\n")
        return error.exit_code
    try:
        run()
    finally:
        if "saltare.serve.server" in sys.modules:
            from .process.ending import flush_files

            flush_files()  # a program that has served ends without a search for garbage, as under uvicorn
    return 0


def prepared(arguments):
    """A function that runs the program. ConfigError: there is none."""
    if not arguments:
        raise ConfigError(f"no program given; {USAGE}")
    program, *rest = arguments
    if program == "-m":
        if not rest:
            raise ConfigError(f"-m: no module given; {USAGE}")
        take_the_place()
        if rest[0] == "uvicorn":
            return partial(run_command_line, rest[1:])
        check_module(rest[0])
        return partial(run_module, rest[0], rest[1:])
    if program.startswith("-"):
        raise ConfigError(f"{program}: unknown option; {USAGE}")
    path = found(program)
    code = compiled(path)
    take_the_place(os.path.dirname(os.path.realpath(path)))
    return partial(run_file, path, code, rest)


def take_the_place(folder=None):
    """`folder`: that of a file, which comes first on sys.path as when Python runs it."""
    from .compat import finder

    if folder is not None and not getattr(sys.flags, "safe_path", False):
        sys.path[0] = folder
    sys.path.insert(1, finder.STAND_IN)
    others = [
        entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry not in ("", finder.STAND_IN)
    ]
    os.environ["PYTHONPATH"] = os.pathsep.join([finder.STAND_IN, *others])
    finder.take_over()


def run_command_line(arguments):
    """As `python -m uvicorn`, which is the server's own command line."""
    from .launch import cli

    sys.argv[:] = ["uvicorn", *arguments]
    sys.exit(cli.main())


def check_module(name):
    """ConfigError: there is no such module to run. Imports the packages that it is in, as running it does."""
    from importlib.util import find_spec

    spec = None
    try:
        if not name.startswith("."):
            spec = find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = find_spec(f"{name}.__main__")
    except ValueError:
        pass  # an empty name
    except ModuleNotFoundError as error:
        if not f"{name}.".startswith(f"{error.name}."):
            raise  # by a package that it is in
    if spec is None:
        raise ConfigError(f"-m {name}: there is no such module to run; {USAGE}")


def run_module(name, arguments):
    from runpy import run_module

    sys.argv[:] = [name, *arguments]  # run_module puts the module's path first
    run_module(name, run_name="__main__", alter_sys=True)


def run_file(path, code, arguments):
    from types import ModuleType

    sys.argv[:] = [path, *arguments]
    main_module = ModuleType("__main__")
    vars(main_module).update(__file__=path, __builtins__=__builtins__)
    sys.modules["__main__"] = main_module
    exec(code, vars(main_module))


def found(program):
    if os.sep in program or os.path.isfile(program):
        if not os.path.isfile(program):
            raise ConfigError(f"{program}: there is no such file")
        return program
    from shutil import which

    path = which(program) or which(program, path=os.path.dirname(sys.executable))
    if path is None:
        raise ConfigError(f"{program}: there is no such file here, and no such command on the PATH; {USAGE}")
    return path


def compiled(path):
    """The program's code. ConfigError: it is not Python, or of another interpreter."""
    with open(path, "rb") as file:
        source = file.read()
    first, _, rest = source.partition(b"\n")
    words = os.fsdecode(first[2:]).split() if first.startswith(b"#!") else []
    if rest.startswith(b"'''exec' "):  # pip writes this where the interpreter's path is long
        words = os.fsdecode(rest.partition(b"\n")[0][9:]).replace('"', "").split()
    if not path.endswith(".py") and not any("python" in os.path.basename(word) for word in words):
        raise ConfigError(f"{path}: it is not a Python script; {USAGE}")
    check_interpreter(path, words)
    try:
        return compile(source, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise ConfigError(f"{path}: it is not Python: {log.one_line(error)}") from None


def check_interpreter(path, words):
    """An installed command has the path of its environment's interpreter in its first line."""
    wanted = words[0] if words and os.path.isabs(words[0]) and os.path.basename(words[0]).startswith("python") else None
    if wanted is None or os.path.dirname(wanted) in ("/usr/bin", "/bin"):
        return
    here = os.path.realpath(os.path.dirname(sys.executable))
    if os.path.realpath(os.path.dirname(wanted)) != here:
        raise ConfigError(f"{path}: it belongs to {wanted}; install saltare there and run it by that interpreter")


if __name__ == "__main__":
    sys.exit(main())
