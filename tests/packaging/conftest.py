"""Fixtures of the packaging tests: the build backend's hooks, and builds from a copy of the tree.

hook(name, ...)   calls a hook of the backend in an interpreter of its own
fake(name, ...)   puts a program of this name first on the PATH
tree              a copy of the project; wheel and sdist are built from it once
clean_venv        a new virtual environment that has only pip
"""

import os
import subprocess
import sys

import pytest

from builds import ROOT, build_sdist, build_wheel, copy_tree


@pytest.fixture
def hook():
    def call(name, prelude="", **environment):
        """prelude is code that simulates another machine."""
        code = f"{prelude}\nimport build_ext\nprint(build_ext.{name}())"
        command = [sys.executable, "-c", code]
        return subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True)

    return call


@pytest.fixture
def fake(tmp_path, monkeypatch):
    def write(name, script):
        path = tmp_path / "programs" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", str(path.parent), prepend=":")
        return path

    return write


@pytest.fixture(scope="session")
def package_index(tmp_path_factory):
    """Skips tests that need the package index when it cannot be reached."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir", "setuptools"]
    probe = subprocess.run(command, cwd=tmp_path_factory.mktemp("probe"), capture_output=True, text=True)
    if probe.returncode:
        reasons = probe.stderr.strip().splitlines() or ["no reason given"]
        pytest.skip(f"the package index cannot be reached: {reasons[-1]}")


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    return copy_tree(tmp_path_factory.mktemp("copy") / "tree")


@pytest.fixture(scope="session")
def wheel(tree, package_index, tmp_path_factory):
    return build_wheel(tree, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def sdist(tree, tmp_path_factory):
    return build_sdist(tree, tmp_path_factory.mktemp("sdist"))


@pytest.fixture
def clean_venv(tmp_path):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    return tmp_path / "venv" / "bin"
