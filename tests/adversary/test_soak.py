"""The soak test for a few seconds; SALTARE_SOAK sets the count for a long run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COUNT = int(os.environ.pop("SALTARE_SOAK", "5000"))  # removed: a server rejects unknown options


@pytest.mark.timeout(300 + COUNT // 100)
def test_nothing_is_left_of_requests_and_messages():
    command = [sys.executable, "-X", "faulthandler", Path(__file__).with_name("soak.py"), str(COUNT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "nothing is left" in done.stdout, f"{done.returncode}:\n{done.stdout}{done.stderr}"
