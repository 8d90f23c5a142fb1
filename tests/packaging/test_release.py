"""The release: every list of Pythons agrees, the version stands once, and wheels bind every symbol."""

import re
import subprocess
import sys

import pytest

from builds import ROOT, pip

sys.path.insert(0, str(ROOT / "tools"))

import wheels


def text(name):
    return (ROOT / name).read_text()


def test_every_list_of_pythons_agrees():
    tested = re.search(r"^VERSIONS \?= (.+)$", text("Makefile"), re.MULTILINE)[1].split()
    about = text("pyproject.toml")
    assert re.findall(r'"Programming Language :: Python :: (3\.\d+)"', about) == tested
    assert re.search(r'^build = "(.+)"$', about, re.MULTILINE)[1].split() == [
        f"cp{v.replace('.', '')}-*" for v in tested
    ]
    assert re.findall(r'"(3\.\d+)"', re.search(r"python: \[(.+)\]", text(".github/workflows/test.yml"))[1]) == tested


def test_the_version_stands_in_one_file():
    version = re.search(r'^__version__ = "(.+)"$', text("saltare/__init__.py"), re.MULTILINE)[1]
    files = subprocess.run(
        ["git", "ls-files", "*.py", "*.go", "*.toml", "*.in"], cwd=ROOT, capture_output=True, text=True
    )
    if files.returncode:
        pytest.skip("not a checkout of git")
    written = rf'version\w*"?\]? *:?= *"{re.escape(version)}"'
    assert [name for name in files.stdout.split() if re.search(written, text(name))] == ["saltare/__init__.py"]


@pytest.mark.parametrize(("libraries", "names"), [([], {"ceil"}), (["-lm"], set())])
def test_a_symbol_that_no_library_of_an_extension_defines_is_found(libraries, names, tmp_path):
    (tmp_path / "one.c").write_text(
        "double ceil(double); int PyErr_CheckSignals(void); double one(double x) { return ceil(x) + PyErr_CheckSignals(); }"
    )
    command = ["gcc", "-shared", "-fPIC", "-fno-builtin", "one.c", "-o", "one.so", *libraries]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert wheels.unbound(tmp_path / "one.so") == names


@pytest.mark.slow
def test_a_wheel_for_glibc_2_28(package_index, clean_venv, tmp_path):
    if subprocess.run([sys.executable, "-c", "import auditwheel, ziglang"], capture_output=True).returncode:
        pytest.skip("auditwheel and ziglang are not installed: `make wheels` does")
    command = [sys.executable, ROOT / "tools" / "wheels.py", tmp_path / "dist", sys.executable]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "dist").iterdir()
    assert re.search(r"-manylinux_2_28_\w+\.whl$", wheel.name)
    assert wheel.stat().st_size < 6 * 2**20
    pip(clean_venv / "python", "install", "--no-index", wheel)
    done = subprocess.run([clean_venv / "saltare", "--version"], cwd=tmp_path, capture_output=True, text=True)
    assert "(plain core, go" in done.stdout, done.stderr
