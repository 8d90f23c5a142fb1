"""What the core takes from saltare._memory: only an API of its own version, which it checks at first use."""

import ctypes
import subprocess
import sys

import pytest

from bare import new_core
from harness import HANG
from saltare import _memory

NAME, OTHER_NAME = b"saltare._memory.API", b"another.API"  # a capsule does not copy its name
NEW = ctypes.pythonapi.PyCapsule_New
NEW.restype, NEW.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
OTHER = (ctypes.c_uint32 * 4)(1 << 31)
REFUSED = (
    f"saltare._core needs version [0-9]+ of saltare._memory.API, which has version {1 << 31}: install saltare again"
)

# The core is imported while an older or newer saltare._memory, or an object that is no module, is present.
PROGRAM = """
import ctypes, sys, types
new = ctypes.pythonapi.PyCapsule_New
new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
table = (ctypes.c_uint32 * 4)(1 << 31)
memory = types.ModuleType("saltare._memory")
if sys.argv[1] == "another":
    memory.API = new(ctypes.addressof(table), b"saltare._memory.API", None)
if sys.argv[1] == "something":
    memory.API = 5
sys.modules["saltare._memory"] = memory
try:
    import saltare._core
except Exception as error:
    print(type(error).__name__, error, sep=": ")
"""


@pytest.fixture
def core():
    core = new_core()
    yield core
    core.close()


def test_that_of_the_same_build(core):
    assert core.release is None
    core.release = _memory.API
    assert repr(core.release).startswith('<capsule object "saltare._memory.API"')
    core.release_soon()
    core.poll(0.001)
    core.release = None
    assert core.release is None
    core.release = _memory.API
    core.release_soon()
    del core.release
    core.poll(0.001)


def test_that_of_another_build(core):
    with pytest.raises(ImportError, match=REFUSED):
        core.release = NEW(ctypes.addressof(OTHER), NAME, None)
    assert core.release is None


@pytest.mark.parametrize("given", [5, object(), NEW(ctypes.addressof(OTHER), OTHER_NAME, None)])
def test_something_else(core, given):
    with pytest.raises(TypeError, match=r"release of a Core must be saltare\._memory\.API or None, not "):
        core.release = given
    assert core.release is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("another", "ImportError: saltare._core needs version 1 of saltare._memory.API, which has version 2147483648"),
        ("nothing", "ImportError: saltare._core needs saltare._memory.API, which is missing: install saltare again"),
        (
            "something",
            "ImportError: saltare._core needs saltare._memory.API, which is missing: install saltare again",
        ),
    ],
)
def test_at_the_import_of_the_core(given, message):
    command = [sys.executable, "-c", PROGRAM, given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG)
    assert done.stdout.startswith(message), (done.stdout, done.stderr)
