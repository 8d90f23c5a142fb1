"""Equal parts of functions imported one after another exist once, and nothing else changes."""

import dis
import gc
import marshal
import re
import subprocess
import sys
import textwrap
import traceback
from importlib.machinery import SourceFileLoader, SourcelessFileLoader

import pytest
from measure import environment, parse

from harness import HANG
from saltare._memory import Sharing
from saltare.memory.shared_code import SharedCode

FUNCTIONS = """
def first(a, b, *rest, c=1, **more):
    inner = lambda x: x + a + b
    return inner(c), rest, more

class Some:
    def second(self, a, b):
        def deep():
            nonlocal b
            b += 1
            return self, a, b
        return deep()

async def third(a, b):
    yield [a for _ in range(b)]
"""
CONSTANTS = """
def whole(): "A text of some length."; return 1, (1, 2, ("same", b"same")), b"same", "same of it", 10**20
def fractions(): "A text of some length."; return 1.0, (1.0, 2.0, ("same", b"same")), b"same", "same of it", 1e20
def truths(): "A text of some length."; return True, (True, 2, ("same", b"same")), "same of it", b"same of it"
def zeros(): return 0.0, -0.0, (0.0,), (-0.0,), 0j, -0j, {0.0, "same"}, x in {"a b", "c d"}
def other(): return (
    lambda: (1, "same of it")), (
    lambda: (1, "same of it")), (lambda: (1.0, "same of it"))
"""
WITHIN_FUNCTIONS = "def outer(one, two, three):\n return one, two, three\n" * 40


def compiled(source=FUNCTIONS):
    return marshal.loads(marshal.dumps(compile(source, "some.py", "exec")))


def loader_of(make):
    """A module whose codes are those that `make` returns, with parts in common."""
    return type("Loader", (), {"get_code": Sharing(lambda loader, name: make())})()


def known_of(loader):
    return type(loader).get_code.known


def functions(code):
    found = [code] if code.co_flags & 1 else []
    return found + [one for const in code.co_consts if hasattr(const, "co_code") for one in functions(const)]


def shown(code):
    """Every attribute of a code object and of those within it."""
    methods = ("co_lnotab", "co_positions", "co_lines", "co_branches", "co_consts")
    own = [getattr(code, name) for name in dir(code) if name.startswith("co_") and name not in methods]
    lines, steps = list(code.co_lines()), re.sub("0x[0-9a-f]+", "", dis.Bytecode(code).dis())
    return own, lines, steps, [shown(one) if hasattr(one, "co_code") else repr(one) for one in code.co_consts]


def test_all_that_can_be_asked_of_code_is_the_same():
    sources = [FUNCTIONS, CONSTANTS, WITHIN_FUNCTIONS, FUNCTIONS, CONSTANTS]
    left = iter(sources)
    loader = loader_of(lambda: compiled(next(left)))
    for source in sources:
        plain, small = compiled(source), loader.get_code("some")
        assert shown(small) == shown(plain)
        assert (small == plain, hash(small), marshal.loads(marshal.dumps(small))) == (True, hash(plain), plain)


def test_it_runs_as_before():
    loader = loader_of(compiled)
    for _ in range(3):
        space = {}
        exec(loader.get_code("some"), space)
        assert space["first"](1, 2, 3, c=4, d=5) == (7, (3,), {"d": 5})
        some = space["Some"]()
        assert some.second(1, 2) == (some, 1, 3)


def test_equal_parts_are_one():
    loader = loader_of(lambda: compiled(WITHIN_FUNCTIONS))
    first = loader.get_code("some")
    names = next(part for part in known_of(loader) if part == ("one", "two", "three"))
    before = sys.getrefcount(names)
    second = loader.get_code("some")
    assert sys.getrefcount(names) - before >= 1  # marshal has made one tuple for the functions of a module
    if sys.version_info >= (3, 11):
        kinds = next(part for part in known_of(loader) if isinstance(part, bytes) and len(part) == 3)
        assert sys.getrefcount(kinds) >= len(functions(first)) + len(functions(second))


def test_equal_constants_are_one():
    loader = loader_of(lambda: compiled(CONSTANTS))
    first, second = (functions(loader.get_code("some")) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert one is not other and one.co_linetable is other.co_linetable and one.co_names is other.co_names
        for constant, same in zip(one.co_consts, other.co_consts, strict=True):
            if type(constant) in (str, bytes):
                assert constant is same
    whole, fractions, truths = (dict(zip("dt", code.co_consts, strict=False)) for code in first[:3])
    assert whole["d"] is fractions["d"] is truths["d"]
    assert [repr(one["t"])[:9] for one in (whole, fractions, truths)] == ["(1, (1, 2", "(1.0, (1.", "(True, (T"]
    assert first[-1].co_consts is not first[-2].co_consts is first[-3].co_consts


def test_names_stay_interned():
    loader = loader_of(compiled)
    for _ in range(2):
        for code in functions(loader.get_code("some")):
            assert all(name is sys.intern(str(name)) for name in (*code.co_names, *code.co_varnames))


def test_text_and_bytes_are_never_compared():
    """`python -bb` makes such a comparison an error."""
    program = f"""
import marshal
from saltare._memory import Sharing
code = compile({CONSTANTS!r}, "some.py", "exec")
loader = type("Loader", (), {{"get_code": Sharing(lambda self: marshal.loads(marshal.dumps(code)))}})()
assert loader.get_code() == loader.get_code() == code
"""
    subprocess.run([sys.executable, "-bb", "-c", program], timeout=HANG, check=True)


def test_what_runs_once_is_left_alone():
    loader = loader_of(lambda: compiled("class Some:\n a = 1\n b = 2\nc = 3\n"))
    loader.get_code("some")
    assert known_of(loader) == []


@pytest.mark.parametrize("returned", [None, 1, "code", compiled()])
def test_what_is_no_code_or_is_in_use_is_passed_on(returned):
    loader = loader_of(lambda: returned)
    assert loader.get_code("some") is loader.get_code("some") is returned
    assert known_of(loader) == []


def test_it_is_called_as_a_function_is():
    method = Sharing(lambda loader, fullname: (loader, fullname))
    loader = type("Loader", (), {"get_code": method})()
    assert loader.get_code("a") == loader.get_code(fullname="a") == type(loader).get_code(loader, "a") == (loader, "a")
    assert type(loader).get_code is method and callable(method.__wrapped__)
    assert type("Other", (), {"get_code": type(loader).get_code})().get_code("b")[1] == "b"
    for wrong in [(), (1, 2)]:
        with pytest.raises(TypeError):
            Sharing(*wrong)
    with pytest.raises(TypeError):
        loader.get_code()


def test_errors_are_passed_on():
    with pytest.raises(ZeroDivisionError):
        loader_of(lambda: 1 / 0).get_code("some")


def test_stopped_it_does_nothing():
    loader = loader_of(compiled)
    type(loader).get_code.stop()
    assert loader.get_code("some") == compiled()
    assert known_of(loader) is None


def test_nothing_leaks():
    data, counts = marshal.dumps(compile(FUNCTIONS, "some.py", "exec")), []
    for _ in range(3):
        for _ in range(100):
            loader_of(lambda: marshal.loads(data)).get_code("some")
        gc.collect()
        counts.append(sys.getallocatedblocks())
    assert counts[2] - counts[1] < 50


def test_the_loaders_are_afterwards_what_they_were():
    loaders = (*SourceFileLoader.__mro__, SourcelessFileLoader)
    before = [vars(loader).get("get_code") for loader in loaders]
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), SharedCode():
            assert isinstance(SourceFileLoader.get_code, Sharing) and isinstance(SourcelessFileLoader.get_code, Sharing)
            raise ZeroDivisionError
        assert [vars(loader).get("get_code") for loader in loaders] == before


@pytest.mark.parametrize("one", ["SourceFileLoader", "SourceLoader"])
@pytest.mark.parametrize(
    "patch",
    [
        "one.get_code = lambda self, name: before(self, name)",
        "one.get_code = lambda self, name: before(self, name); import colorsys; one.get_code = before",
        "one.get_code = before",
        "from functools import wraps; one.get_code = wraps(before)(lambda *args, **kwargs: before(*args, **kwargs))",
        "from unittest import mock\nwith mock.patch.object(one, 'get_code', before): import colorsys",
        "Mine = type('Mine', (one,), {'get_code': before})",
        "one.get_code = before.__get__(1, int).__func__",
        "import inspect; inspect.getdoc(before); inspect.signature(before); repr(before)",
    ],
)
def test_apps_that_patch_it_themselves(one, patch):
    program = f"""
from importlib.machinery import SourceFileLoader
from saltare.memory.shared_code import SharedCode
SourceLoader = next(one for one in SourceFileLoader.__mro__ if "get_code" in vars(one))
with SharedCode():
    one = {one}
    before = one.get_code
{textwrap.indent(patch, "    ")}
    import wave
import difflib, plistlib
assert SourceFileLoader("difflib", difflib.__file__).get_code("difflib").co_filename == difflib.__file__
"""
    subprocess.run([sys.executable, "-c", program], timeout=HANG, check=True)


@pytest.mark.parametrize(
    "source", ["a = \n", "import sys\nraise KeyError(1)\n", "from os import nothing\n", "import nothing\n"]
)
def test_errors_of_imports_look_as_they_did(tmp_path, monkeypatch, source):
    (tmp_path / "outer.py").write_text("import inner\n")
    (tmp_path / "inner.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))

    def report():
        for name in ("outer", "inner"):
            sys.modules.pop(name, None)
        try:
            import outer  # noqa: F401
        except Exception:
            return traceback.format_exc()

    plain = report()
    with SharedCode():
        assert report() == plain


PROGRAM = """
import contextlib
from saltare._memory import trim
from saltare.memory.shared_code import SharedCode
with {meanwhile}():
    import asyncio, fastapi
trim()
print(open("/proc/self/smaps_rollup").read())
"""


@pytest.mark.skipif(sys.version_info < (3, 11), reason="3.10 has no bytes for the kinds of locals")
def test_it_saves_memory(tmp_path):
    pytest.importorskip("fastapi")

    def private(meanwhile):
        command = [sys.executable, "-c", PROGRAM.format(meanwhile=meanwhile)]
        done = subprocess.run(
            command, env=environment(tmp_path), capture_output=True, text=True, timeout=HANG, check=True
        )
        return parse(done.stdout)[1]

    private("contextlib.nullcontext")  # the bytecode is cached
    plain, small = (min(private(meanwhile) for _ in range(3)) for meanwhile in ("contextlib.nullcontext", "SharedCode"))
    assert plain - small > 200
