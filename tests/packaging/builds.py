"""Builds as a user runs them: copies of the tree, pip, and names of extension modules."""

import importlib.machinery
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUFFIX = importlib.machinery.EXTENSION_SUFFIXES[0]
MODULES = re.findall(r'\{ name = "saltare\.(\w+)", sources', (ROOT / "pyproject.toml").read_text())
NOT_OURS = shutil.ignore_patterns(
    ".git", ".venv*", "__pycache__", ".*_cache", "*.so", "*.egg-info", "build", "dist", "results"
)


def copy_tree(target):
    """The project's files, without build results."""
    shutil.copytree(ROOT, target, ignore=NOT_OURS)
    return target


def pip(python, *arguments, **popen):
    """Runs pip; on failure its whole output is the message."""
    command = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", *map(str, arguments)]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **popen)
    assert result.returncode == 0, result.stdout
    return result.stdout


def build_wheel(source, target, **popen):
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", target, source, **popen)
    (wheel,) = Path(target).glob("*.whl")
    return wheel


def build_sdist(source, target):
    code = f"import build_ext; build_ext.build_sdist({str(target)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True)
    (sdist,) = Path(target).glob("*.tar.gz")
    return sdist
