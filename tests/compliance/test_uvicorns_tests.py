"""uvicorn's own tests of its command line, Config, Server, logging and supervisors, with saltare in its place.

They are in its source distribution, which is not kept. Each failure has a reason in uvicorns_tests.toml.
"""

import os
import re
import subprocess
import sys
import tarfile
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

tomllib = pytest.importorskip("tomllib")

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
VERSION = "0.54.0"
NEEDED = ["pytest", "pytest-mock", "pytest-timeout", "httpx2", "wsproto", "zttp", "trustme", "a2wsgi"]
TESTS = (
    *("test_cli.py", "test_config.py", "test_main.py", "test_server.py", "test_lifespan.py", "test_subprocess.py"),
    *("test_auto_detection.py", "test_default_headers.py", "importer", "middleware/test_logging.py", "supervisors"),
)
LEAST = 150  # tests that pass
SECONDS = 600
FAILURE = re.compile(r"^(?:FAILED|ERROR) tests/(\S+)", re.MULTILINE)
PASSED = re.compile(r"(\d+) passed")


@pytest.fixture(scope="module")
def uvicorn(tmp_path_factory):
    """The folder of the distribution without its package, and an interpreter that has uvicorn and this saltare."""
    folder = tmp_path_factory.mktemp("uvicorn")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    done = subprocess.run(
        [*pip, f"uvicorn=={VERSION}"], cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if done.returncode:
        pytest.skip(f"uvicorn {VERSION} cannot be had: {done.stderr.strip()[-200:]}")
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        wanted = [one for one in tar.getmembers() if "/tests/" in one.name or one.name.endswith("/pyproject.toml")]
        tar.extractall(folder, wanted, filter="data")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True, timeout=SECONDS)
    python = folder / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", f"uvicorn[standard]=={VERSION}", *NEEDED]
    subprocess.run(install, check=True, timeout=SECONDS)
    where = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = subprocess.run(where, capture_output=True, text=True, check=True, timeout=SECONDS).stdout.strip()
    Path(site, "saltare.pth").write_text(f"{ROOT}\n")
    return folder / f"uvicorn-{VERSION}", python


def test_every_failure_has_a_reason(uvicorn):
    folder, python = uvicorn
    options = ["-o", "addopts=", "-q", "-rfE", "--tb=no", "--timeout=60"]
    options += [
        "--continue-on-collection-errors",
        "-p",
        "no:unraisableexception",
    ]  # of a test that failed, in a later one
    command = [python, "-m", "saltare.as_uvicorn", "-m", "pytest", *options, *(f"tests/{name}" for name in TESTS)]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("SALTARE_", "PYTEST_"))}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=SECONDS, check=False)
    failed = set(FAILURE.findall(done.stdout))
    passed = PASSED.search(done.stdout)
    assert passed and int(passed[1]) >= LEAST, done.stdout[-4000:] + done.stderr[-4000:]
    patterns = [
        pattern
        for reason in tomllib.loads((HERE / "uvicorns_tests.toml").read_text())["reason"]
        for pattern in reason["tests"]
    ]
    assert sorted(one for one in failed if not any(fnmatchcase(one, each) for each in patterns)) == []
    assert [each for each in patterns if not any(fnmatchcase(one, each) for one in failed)] == []
