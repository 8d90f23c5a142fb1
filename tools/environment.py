"""Makes the virtual environment of a make target: `environment.py FOLDER GROUP...`.

It installs the tree as editable, with the named dependency groups of pyproject.toml. Steps that are up to date are
skipped: each step leaves a stamp with a digest of its inputs.
"""

import hashlib
import importlib.util
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILT_FROM = ["build_ext.py", "pyproject.toml", "go.*", "gocore/**/*.[cgh]*", "native/**/*.[ch]", "saltare/__init__.py"]
PIP = "pip>=25.1"  # the first version that installs dependency groups
OLDEST = (3, 10)


def digest(patterns: list[str]) -> str:
    state = hashlib.sha256(sys.version.encode())
    for path in sorted(path for pattern in patterns for path in ROOT.glob(pattern)):
        state.update(f"{path} {path.stat().st_size}\n".encode() + path.read_bytes())
    return state.hexdigest()


def once(stamp: Path, content: str, *arguments: str) -> None:
    """Runs pip with the arguments, unless the stamp already holds this content."""
    if stamp.is_file() and stamp.read_text() == content:
        return
    python = stamp.parent / "bin" / "python"
    command = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *arguments]
    subprocess.run(command, cwd=ROOT, check=True)
    stamp.write_text(content)


def complete_interpreter() -> None:
    """Installs the module venv and the C headers, which Debian packages apart from its Python."""
    name = "python{}.{}".format(*sys.version_info)
    is_there = {
        f"{name}-venv": importlib.util.find_spec("ensurepip"),
        f"{name}-dev": Path(sysconfig.get_path("include"), "Python.h").is_file(),
    }
    packages = [package for package, there in is_there.items() if not there]
    if packages:
        subprocess.run([ROOT / "tools" / "system_packages.sh", *packages], check=True)


def prepare(folder: Path, groups: list[str]) -> None:
    made_by = folder / "stamp-interpreter"
    if not made_by.is_file() or made_by.read_text() != sys.version + sys.base_prefix:
        print(f"making {folder} with Python {sys.version.split()[0]}", file=sys.stderr)
        complete_interpreter()
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        made_by.write_text(sys.version + sys.base_prefix)
    once(folder / "stamp-pip", PIP, PIP)
    once(folder / "stamp-tree", digest(BUILT_FROM), "--editable", ".")
    for group in groups:
        once(folder / f"stamp-{group}", digest(["pyproject.toml"]), "--group", group)


def main() -> None:
    if sys.version_info < OLDEST:
        sys.exit(f"{sys.executable} is older than Python 3.10: name another one, as in `make test PYTHON=python3.13`")
    try:
        prepare(Path(sys.argv[1]).absolute(), sys.argv[2:])
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)


if __name__ == "__main__":
    main()
