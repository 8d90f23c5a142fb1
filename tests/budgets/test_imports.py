"""What is loaded, and by whom: imports are memory. Per process."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What a Go program pays for even when it is not used.
FORBIDDEN = {"net/http", "crypto/tls", "encoding/json"}


def test_import_saltare_is_cheap():
    code = "import json, sys; before = set(sys.modules); import saltare; print(json.dumps(sorted(set(sys.modules) - before)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) == {"saltare", "saltare.errors"}


@pytest.mark.skipif(shutil.which("go") is None, reason="go is not on the PATH")
def test_the_plain_core_has_no_heavy_packages():
    done = subprocess.run(["go", "list", "-deps", "./gocore"], cwd=ROOT, capture_output=True, text=True, check=True)
    packages = set(done.stdout.split())
    assert "saltare/gocore/internal/conn" in packages
    assert not packages & FORBIDDEN
