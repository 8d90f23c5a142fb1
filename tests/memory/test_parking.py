"""Parked memory keeps its contents, whatever is done to it."""

import os
import subprocess
import sys
import sysconfig

import pytest

from harness import HANG

PROGRAM = """
#include <Python.h>
void *(*volatile address)(size_t);
int main(int argc, char **argv)
{
    address = malloc;
    return Py_BytesMain(argc, argv);
}
"""
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("folder", [None, "memory"], ids=["parked", "shared"])
@pytest.mark.parametrize(
    "name",
    [
        "allocate",
        "large_blocks",
        "collect",
        "fork",
        "repark",
        "repark_beside_others",
        "repark_in_slices",
        "looks_like_a_counter",
        "room_is_not_moved",
        "alike",
        "sealed_pool",
        "execute",
        "week",
        "leave",
        "dump",
        "trace",
        "idle_pool",
        "variables",
        "waits",
        "from_a_thread",
        "bundled_allocator",
    ],
)
def test_right(program, folder, name):
    done = program(name, folder)
    assert (done.returncode, done.stdout) == (0, "right\n"), done.stderr


def test_unmaps_what_was_read(program):
    done = program("unmaps_what_was_read", None)
    assert (done.returncode, done.stdout) == (0, "right\n"), done.stderr


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="no other Python has such counters")
@pytest.mark.parametrize("folder", [None, "memory"], ids=["parked", "shared"])
@pytest.mark.parametrize("name", ["counters", "counters_in_arenas"])
def test_counters_of_calls(program, folder, name):
    done = program(name, folder)
    assert (done.returncode, done.stdout) == (0, "right\n"), done.stderr


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the cache is kept, or the names in it have no counts")
@pytest.mark.parametrize("folder", [None, "memory"], ids=["parked", "shared"])
def test_cache_of_attributes(program, folder):
    done = program("attributes", folder)
    assert (done.returncode, done.stdout) == (0, "right\n"), done.stderr


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="names have no counts that change")
@pytest.mark.parametrize("folder", [None, "memory"], ids=["parked", "shared"])
def test_references_to_names(program, folder):
    done = program("references", folder)
    assert (done.returncode, done.stdout) == (0, "right\n"), done.stderr


@pytest.mark.parametrize("name", ["give_way", "nothing_left_behind"])
def test_parked(program, name):
    done = program(name)
    assert (done.returncode, done.stdout) == (0, "right\n"), done.stderr


@pytest.mark.parametrize("name", ["half", "lie_together"])
def test_shared(program, name):
    done = program(name, "memory")
    assert done.returncode == 0 and done.stdout.endswith("right\n"), done.stdout + done.stderr


def test_libraries(program):
    for module in ("numpy", "PIL", "pydantic", "sqlalchemy"):
        pytest.importorskip(module)
    done = program("libraries")
    assert (done.returncode, done.stdout) == (0, "right\n"), done.stderr


@pytest.mark.skipif(not sysconfig.get_config_var("Py_ENABLE_SHARED"), reason="there is no libpython to link with")
def test_an_interpreter_at_a_fixed_address(command, tmp_path):
    """Like Debian's. It has its own entry for each function whose address it takes, such as malloc(3)."""
    (tmp_path / "python.c").write_text(PROGRAM)
    variables = sysconfig.get_config_vars()
    flags = [f"-I{sysconfig.get_path('include')}", f"-L{variables['LIBDIR']}", f"-Wl,-rpath,{variables['LIBDIR']}"]
    compiler = os.environ.get("CC", "cc").split()
    output = ["python.c", "-o", "python", f"-lpython{variables['LDVERSION']}"]
    subprocess.run([*compiler, "-no-pie", "-fno-pie", *flags, *output], cwd=tmp_path, check=True)
    paths = {"PYTHONHOME": sys.base_prefix, "PYTHONPATH": os.pathsep.join(sys.path[1:])}
    words = [str(tmp_path / "python"), *command("give_way")[1:]]
    done = subprocess.run(words, env=paths, capture_output=True, text=True, timeout=HANG)
    assert (done.returncode, done.stdout) == (0, "right\n"), done.stderr


@pytest.mark.parametrize("nth", [1, 2, 5, -2, -5])
def test_a_mapping_that_fails(program, library, nth):
    """Memory that could not be mapped is read back from the file, unless it is still there."""
    done = program("partly", LD_PRELOAD=library("fakes"), FAKE_MMAP=str(nth))
    assert (done.returncode, done.stdout) == (0, "right\n"), done.stderr
