"""Runs the quick tests with wheels installed: `try_wheels.py WHEEL...`, in a new environment of the Python that each
is for, or `try_wheels.py --installed` for the wheel that this environment has.

The tests run in a copy of the tree whose package is the installed one. Wheels for other machines are left out.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
QUICK = ["-m", "not slow", "tests/bridge", "tests/config", "tests/wire"]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv*", "__pycache__", ".*_cache", "*.so", "*.egg-info", "build", "dist")


def interpreter(wheel: Path) -> str:
    major, minor = re.findall(r"-cp(\d)(\d+)-", wheel.name)[0]
    command = [ROOT / "tools" / "interpreters.sh", f"{major}.{minor}"]
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    if not found:
        raise SystemExit(f"no Python for {wheel.name}")
    return found[0]


def environment(wheel: Path, folder: Path) -> Path:
    """Its python; pip must have wheels for everything, so it builds nothing."""
    subprocess.run([interpreter(wheel), "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--upgrade", "pip"], check=True)
    subprocess.run([*pip, "--only-binary", ":all:", wheel, "--group", "quick"], cwd=ROOT, check=True)
    return python


def tree(python: Path, folder: Path) -> None:
    """A copy of the project around the installed package."""
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
    shutil.rmtree(folder / "saltare", ignore_errors=True)
    command = [python, "-c", "import saltare; print(saltare.__path__[0])"]
    installed = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    (folder / "saltare").symlink_to(installed)


def passes(python: Path, folder: Path) -> bool:
    tree(python, folder)
    return subprocess.run([python, "-m", "pytest", "-q", *QUICK], cwd=folder).returncode == 0


def main() -> None:
    failed = []
    if sys.argv[1:] == ["--installed"]:
        with tempfile.TemporaryDirectory(prefix="saltare-wheel-") as scratch:
            sys.exit(not passes(Path(sys.executable), Path(scratch, "tree")))
    for wheel in map(Path, sys.argv[1:]):
        if not wheel.stem.endswith(f"_{os.uname().machine}"):
            print(f"!! {wheel.name} is for another machine, and is not tried", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory(prefix="saltare-wheel-") as scratch:
            python = environment(wheel.absolute(), Path(scratch, "venv"))
            if not passes(python, Path(scratch, "tree")):
                failed.append(wheel.name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
