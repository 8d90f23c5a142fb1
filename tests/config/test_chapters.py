"""The package's folders: which may import which, no cycles, private names of CPython in one place, the map."""

import ast
import re
import sys
import threading
from pathlib import Path

import pytest

from saltare import cpython

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "saltare"
EXTENSIONS = {"_core", "_core_full", "_memory", "_process"}
# Modules outside the folders, which every folder may use; they import only each other.
GROUND = {"asgi", "cpython", "errors", "log", "log_config", "modules", "toml"}
# Entry points of programs and commands: no folder imports these, except for the version.
DOORS = {"", "__main__", "as_uvicorn", "cli", "workers"}
# For each folder, the folders it may import from.
MAY_USE = {
    "options": set(),
    "process": set(),
    "app": set(),
    "listen": {"options"},
    "memory": {"options"},
    "restart": {"process"},
    "serve": {"options", "process", "app", "listen", "memory", "restart"},
    "prefork": {"options", "process", "app", "listen", "memory", "restart", "serve"},
    "launch": {"options", "process", "app", "listen", "memory", "restart", "serve", "prefork"},
    "report": {"options", "process", "app", "listen", "memory", "restart", "serve", "prefork", "launch"},
    "compat": {"options", "process", "app", "listen", "memory", "restart", "serve", "prefork", "launch"},
    "stand_in": {"launch", "compat"},
}
MOST_LINES = 400
TABLES = {"saltare/options/table.py", "saltare/options/foreign.py"}  # may be longer
# Documented, although they begin with an underscore; the last is nest_asyncio's.
DOCUMENTED = {"_exit", "_current_frames", "_xoptions", "_replace", "_fields_", "_nest_patched"}

FILES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip("."): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
TREES = {name: ast.parse(path.read_text()) for name, path in FILES.items()}


def is_package(name):
    return FILES[name].name == "__init__.py"


def folder(name):
    """The folder of a module; "" for a module outside the folders."""
    return name if name and is_package(name) else name.rpartition(".")[0]


def imported(name, tree):
    """The modules of the package that a module imports, also within functions, by their names below `saltare`."""
    here = folder(name).split(".") if folder(name) else []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name.partition(".")[2] for one in node.names if one.name.partition(".")[0] == "saltare")
        elif isinstance(node, ast.ImportFrom):
            if not node.level and (node.module or "").partition(".")[0] != "saltare":
                continue
            parts = here[: len(here) - node.level + 1] if node.level else []
            parts = [*parts, *(node.module or "").removeprefix("saltare").strip(".").split(".")]
            source = ".".join(part for part in parts if part)
            for one in node.names:
                inner = f"{source}.{one.name}".strip(".")
                if inner in FILES or inner in EXTENSIONS:
                    yield inner
                elif (source, one.name) != ("", "__version__"):  # defined before any module is
                    yield source


IMPORTS = {name: set(imported(name, tree)) for name, tree in TREES.items()}


def test_every_folder_has_its_row():
    assert set(MAY_USE) == {name for name in FILES if name and is_package(name)}
    assert {name for name in FILES if not is_package(name) and "." not in name} == GROUND | DOORS - {""}


def test_a_module_imports_only_what_lies_below_its_folder():
    wrong = []
    for name, targets in IMPORTS.items():
        if name in DOORS:
            continue
        below = MAY_USE.get(folder(name), set()) | {folder(name)} - {""}
        for target in targets:
            if target not in GROUND | EXTENSIONS and folder(target) not in below:
                wrong.append(f"{name or 'saltare'} imports {target or 'saltare'}")
    assert not wrong


def test_the_doors_are_opened_from_outside_only():
    assert IMPORTS["__main__"] == {"cli"}
    assert {folder(target) for target in IMPORTS["cli"]} == {"launch", "report"}
    assert {folder(target) or target for target in IMPORTS[""]} == {"asgi", "compat", "errors", "launch"}
    assert IMPORTS["workers"] == {"compat.gunicorn"}


def test_gunicorn_is_imported_in_one_file():
    """It is no dependency, so that file is imported only by what gunicorn itself imports."""
    importing = set()
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            importing.update(name for one in names if one.partition(".")[0] == "gunicorn")
    assert importing == {"compat.gunicorn"}
    assert {name for name in IMPORTS if "compat.gunicorn" in IMPORTS[name]} == {"workers"}


def test_no_modules_import_each_other_in_a_circle():
    done, path = set(), []

    def visit(name):
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name in done or name not in FILES:
            return
        path.append(name)
        for target in sorted(IMPORTS[name]):
            visit(target)
        path.pop()
        done.add(name)

    for name in FILES:
        visit(name)
    assert done == set(FILES)


# ---- private names of CPython ----


def own_names():
    """The private names that the package defines: functions, methods, attributes and variables."""
    for name, tree in TREES.items():
        if name == "cpython":
            continue
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                yield node.name
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                if isinstance(node.value, ast.Name) and node.value.id in ("self", "server"):
                    yield node.attr
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id
            elif isinstance(node, ast.Assign) and any(is_slots(target) for target in node.targets):
                yield from ast.literal_eval(node.value)


def is_slots(target):
    return isinstance(target, ast.Name) and target.id == "__slots__"


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


def private_names(tree):
    """(name, line) of every private name that a module takes from another package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            yield node.attr, node.lineno
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "setattr", "hasattr"):
            named = node.args[1]
            if isinstance(named, ast.Constant) and is_private(named.value):
                yield named.value, node.lineno
        elif isinstance(node, ast.Import):
            yield from ((one.name, node.lineno) for one in node.names if is_private(one.name))
        elif isinstance(node, ast.ImportFrom) and not node.level:
            named = [node.module, *(one.name for one in node.names)]
            yield from ((one, node.lineno) for one in named if is_private(one))


def test_private_names_of_cpython_are_used_in_one_file():
    own = set(own_names()) | EXTENSIONS | DOCUMENTED
    wrong = [
        f"{FILES[name].relative_to(ROOT)}:{line}: {one}"
        for name, tree in TREES.items()
        if name != "cpython"
        for one, line in private_names(tree)
        if one not in own
    ]
    assert not wrong


def test_its_table_has_each_of_them():
    table = FILES["cpython"].read_text().partition("\nimport ")[0]
    used = {one for one, _ in private_names(TREES["cpython"])} - {"_frozen_importlib_external"}
    assert {one for one in used if one not in table} == set()


def test_this_python_has_each_of_them():
    import asyncio
    import concurrent.futures.thread
    import selectors
    import subprocess
    import typing

    assert cpython.raw_signal.getsignal(2) is cpython.raw_signal.getsignal(cpython.raw_signal.SIGINT)
    assert cpython.source_from_cache("a/__pycache__/b.cpython-311.pyc") == "a/b.py"
    assert type(sys.stdout.buffer) in cpython.file_classes() or sys.stdout.buffer is not sys.__stdout__.buffer
    assert callable(cpython.threads_shutdown())
    assert set(cpython.hooks_of_threads()) == {threading.gettrace(), threading.getprofile()}
    assert isinstance(cpython.interpreter_flags(), list)
    assert callable(subprocess._args_from_interpreter_flags)
    assert issubclass(selectors.SelectSelector, cpython.selector_base())
    assert cpython.has_ssl()
    assert cpython.json_string('"\xe9\n') == '"\\"\\u00e9\\n"'
    assert all(callable(clear) for clear in typing._cleanups) and typing._cleanups
    assert hasattr(asyncio.events, "_event_loop_policy")
    assert hasattr(concurrent.futures.thread, "_threads_queues")


def test_a_loop_shows_what_is_asked_of_it():
    import asyncio

    async def main():
        loop = asyncio.get_running_loop()
        assert cpython.executor_threads(loop) is None
        await loop.run_in_executor(None, threading.get_ident)
        (thread,) = cpython.executor_threads(loop)
        assert thread.is_alive()
        loop.call_soon(lambda: found.append(cpython.handle_in(sys._getframe(1))))
        await asyncio.sleep(0)

    found = []
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(main())
        loop.call_soon(loop.stop)
        with pytest.raises(RuntimeError) as caught:
            loop.run_until_complete(loop.create_future())
        assert cpython.is_loop_stop(caught.value)
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


# ---- files ----


def test_a_file_fits_in_a_head():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in FILES.values()}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES and name not in TABLES} == {}


def test_the_map_has_every_file_and_no_other():
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = re.findall(r"`((?:[a-z_]+/)?[a-z_]+\.pyi?)`", text)
    there = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py*") if path.suffix in (".py", ".pyi")}
    assert set(named) == {name for name in there if "/" not in name or not name.endswith("/__init__.py")}
