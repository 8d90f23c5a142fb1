"""Builds the wheels of a release: `wheels.py FOLDER [--machine NAME]... PYTHON...`, an interpreter for each Python.

gcc compiles and links as in a build from source, so that speed and memory are equal, but with the headers of glibc 2.28
and against its symbols: the package ziglang holds those of every glibc. A wheel for another machine needs gcc's cross
compiler, but no Python for that machine: the headers are equal. Only the names of its extension modules differ.
"""

import argparse
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GLIBC = "2.28"
GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}
HEADERS = "{0}-linux-gnu", "generic-glibc", "{0}-linux-any", "any-linux-any"  # in ziglang, the first one first
LIBRARIES = "m", "dl", "pthread", "resolv"  # parts of glibc of their own until 2.34
OF_THE_LOADER = {"__tls_get_addr"}  # in every process, whatever the version
BUILD = """
import sys, build_ext
build_ext.build_wheel(sys.argv[1], {"--build-option": ["--plat-name=" + sys.argv[2]]})
"""


# ---- glibc ---------------------------------------------------------------------------------------------------------


def glibc(machine: str, folder: Path) -> Path:
    """Makes a folder with the libraries to link against. zig creates them when it first links something."""
    libraries = folder / f"glibc-{machine}"
    libraries.mkdir()
    cache = folder / f"zig-{machine}"
    source = folder / "empty.c"
    source.touch()
    command = [sys.executable, "-m", "ziglang", "cc", "-target", f"{machine}-linux-gnu.{GLIBC}", "-shared", "-O2"]
    environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": str(cache), "ZIG_LOCAL_CACHE_DIR": str(cache)}
    subprocess.run([*command, source, "-o", folder / "empty.so"], env=environment, check=True)
    for made in [*cache.glob("o/*/lib*.so.*"), *cache.glob("o/*/libc_nonshared.a")]:
        shutil.copy(made, libraries)
    parts = {name: next(libraries.glob(f"lib{name}.so.*")).name for name in LIBRARIES}
    for name, part in parts.items():
        (libraries / f"lib{name}.so").symlink_to(part)
    # gcc links libc last, and with it what was named by nobody.
    (libraries / "libc.so").write_text(
        f"GROUP ( libc.so.6 libc_nonshared.a AS_NEEDED ( {' '.join(parts.values())} ) )\n"
    )
    return libraries


def compiler(machine: str, libraries: Path) -> list[str]:
    """gcc's command line: everything of its own machine's glibc is replaced."""
    gcc = "gcc" if machine == os.uname().machine else f"{machine}-linux-gnu-gcc"
    if not shutil.which(gcc):
        raise SystemExit(
            f"a wheel for {machine} needs {gcc}: try `apt-get install gcc-{machine.replace('_', '-')}-linux-gnu`"
        )
    of_gcc = subprocess.run(
        [gcc, "-print-file-name=include"], capture_output=True, text=True, check=True
    ).stdout.strip()
    spec = importlib.util.find_spec("ziglang")
    assert spec and spec.origin
    headers = Path(spec.origin).parent / "lib" / "libc" / "include"
    folders = [of_gcc, *(str(headers / name.format(machine.replace("x86_64", "x86"))) for name in HEADERS)]
    flags = [part for folder in folders for part in ("-isystem", folder)]
    # ziglang's features.h leaves out the minor version.
    return [gcc, "-nostdinc", *flags, f"-D__GLIBC_MINOR__={GLIBC.split('.')[1]}", f"-L{libraries}"]


# ---- building ------------------------------------------------------------------------------------------------------


def output(python: str, code: str, **environment: str) -> str:
    command = [python, "-c", code]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.strip()


def foreign_names(python: str, machine: str, folder: Path) -> dict[str, str]:
    """Variables that make an interpreter name and place extension modules as the one of the other machine does."""
    names = output(python, "import sysconfig as s; n = s._get_sysconfigdata_name(); print(n, __import__(n).__file__)")
    name, file = names.split(maxsplit=1)
    own = os.uname().machine
    settings = folder / f"settings-{machine}" / Path(python).resolve().name
    settings.mkdir(parents=True)
    text = Path(file).read_text().replace(f"{own}-linux-gnu", f"{machine}-linux-gnu")
    renamed = name.replace(own, machine)
    (settings / f"{renamed}.py").write_text(text)
    path = os.pathsep.join([str(settings), str(backend(folder))])
    return {"_PYTHON_SYSCONFIGDATA_NAME": renamed, "_PYTHON_HOST_PLATFORM": f"linux-{machine}", "PYTHONPATH": path}


def backend(folder: Path) -> Path:
    """The folder with what builds need: setuptools, and Go unless the machine has it."""
    target = folder / "backend"
    if not target.is_dir():
        (setuptools,) = re.findall(r'^requires = \["(.+)"\]$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--target", target]
        subprocess.run([*pip, setuptools], check=True)
        code = "import build_ext; print(*build_ext.get_requires_for_build_wheel(), sep='\\n')"
        more = output(sys.executable, code, PYTHONPATH=str(target)).splitlines()
        if more:
            subprocess.run([*pip, *more], check=True)
    return target


def build(python: str, machine: str, cc: list[str], folder: Path, target: Path) -> Path:
    environment = {
        **os.environ,
        "PYTHONPATH": str(backend(folder)),
        "CC": shlex.join(cc),
        "LDSHARED": shlex.join([*cc, "-shared"]),
        "GOARCH": GO_NAMES[machine],
    }
    if machine != os.uname().machine:
        environment |= foreign_names(python, machine, folder)
    made = Path(tempfile.mkdtemp(dir=folder))
    command = [python, "-c", BUILD, made, f"manylinux_{GLIBC.replace('.', '_')}_{machine}"]
    with open(folder / "log", "w+") as log:
        if subprocess.run(command, cwd=ROOT, env=environment, stdout=log, stderr=log).returncode:
            log.seek(0)
            raise SystemExit(f"{log.read()}\nno wheel for {python} on {machine}")
    (wheel,) = made.glob("*.whl")
    target.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(wheel, target))


# ---- checking ------------------------------------------------------------------------------------------------------


def unbound(library: Path) -> set[str]:
    """Symbols of no known library and version that are not Python's. The loader would look for them anywhere."""
    command = ["readelf", "--dyn-syms", "--wide", library]  # of every machine's libraries, unlike nm
    lines = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    names = {line.split()[7] for line in lines if re.search(r" GLOBAL +DEFAULT +UND ", line)}
    return {name for name in names if "@" not in name and not re.match("_?Py", name)} - OF_THE_LOADER


def check(wheel: Path) -> None:
    """Ends the run if the wheel would not load somewhere that its tag promises."""
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as scratch:
        for name in archive.namelist():
            names = unbound(Path(archive.extract(name, scratch))) if name.endswith(".so") else None
            if names:
                raise SystemExit(
                    f"{wheel.name}: {name} uses {', '.join(sorted(names))}, which no library it names defines"
                )
    command = [sys.executable, "-m", "auditwheel", "show", wheel]
    shown = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    tag = wheel.stem.rpartition("-")[2]
    if f'platform tag: "{tag}"' not in " ".join(shown.split()):
        raise SystemExit(f"auditwheel does not find {wheel.name} consistent with its tag:\n{shown}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Builds manylinux wheels with this machine's gcc.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--machine", action="append", choices=GO_NAMES, help="default: this one")
    parser.add_argument("python", nargs="+")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="saltare-wheels-") as scratch:
        for machine in options.machine or [os.uname().machine]:
            cc = compiler(machine, glibc(machine, Path(scratch)))
            for python in options.python:
                wheel = build(python, machine, cc, Path(scratch), options.folder)
                check(wheel)
                print(f"{wheel}: {wheel.stat().st_size / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
