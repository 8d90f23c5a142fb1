"""Equal parts of functions that are imported one after another exist once, and nothing else changes. Per process."""

import dis
import gc
import marshal
import re
import subprocess
import sys
import traceback
from importlib.machinery import SourceFileLoader, SourcelessFileLoader

import pytest
from measure import environment, parse

from harness import HANG
from saltare._memory import sharing
from saltare._shared_code import SharedCode

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
WITHIN_FUNCTIONS = "def outer(one, two, three):\n return one, two, three\n" * 40


def compiled(source=FUNCTIONS):
    return marshal.loads(marshal.dumps(compile(source, "some.py", "exec")))


def shared(make, known=None):
    """The code that `make` returns, as a loader returns it."""
    method = sharing(lambda loader, name: make(), {} if known is None else known)
    return type("Loader", (), {"get_code": method})().get_code("some")


def functions(code):
    found = [code] if code.co_flags & 1 else []
    return found + [one for const in code.co_consts if hasattr(const, "co_code") for one in functions(const)]


def shown(code):
    """All that can be asked of it, and of those within it."""
    names = [
        name
        for name in dir(code)
        if name.startswith("co_") and name not in ("co_lnotab", "co_positions", "co_lines", "co_branches")
    ]
    own = [getattr(code, name) for name in names if name != "co_consts"]
    lines = list(code.co_lines())
    return (
        own,
        lines,
        [shown(one) if hasattr(one, "co_code") else repr(one) for one in code.co_consts],
        re.sub("0x[0-9a-f]+", "", dis.Bytecode(code).dis()),
    )


def test_all_that_can_be_asked_of_code_is_the_same():
    known = {}
    for source in [FUNCTIONS, WITHIN_FUNCTIONS, FUNCTIONS]:
        plain, small = compiled(source), shared(lambda source=source: compiled(source), known)
        assert shown(small) == shown(plain)
        assert (small == plain, hash(small), marshal.loads(marshal.dumps(small))) == (True, hash(plain), plain)


def test_it_runs_as_before():
    known = {}
    for _ in range(3):
        space = {}
        exec(shared(compiled, known), space)
        assert space["first"](1, 2, 3, c=4, d=5) == (7, (3,), {"d": 5})
        some = space["Some"]()
        assert some.second(1, 2) == (some, 1, 3)


def test_equal_parts_are_one():
    known = {}
    first = shared(lambda: compiled(WITHIN_FUNCTIONS), known)
    names = next(part for part in known if isinstance(part, tuple))
    before = sys.getrefcount(names)
    second = shared(lambda: compiled(WITHIN_FUNCTIONS), known)
    assert sys.getrefcount(names) - before >= 1  # marshal has made one tuple for the functions of a module
    if sys.version_info >= (3, 11):
        kinds = next(part for part in known if isinstance(part, bytes) and len(part) == 3)
        assert sys.getrefcount(kinds) >= len(functions(first)) + len(functions(second))


def test_what_runs_once_is_left_alone():
    known = {}
    shared(lambda: compiled("class Some:\n a = 1\n b = 2\nc = 3\n"), known)
    assert known == {}


def test_code_that_somebody_has_is_left_alone():
    known, held = {}, compiled()
    assert shared(lambda: held, known) is held
    assert known == {}


@pytest.mark.parametrize("returned", [None, 1, "code"])
def test_what_is_no_code_is_passed_on(returned):
    known = {}
    loader = type("Loader", (), {"get_code": sharing(lambda loader, name: returned, known)})
    assert loader().get_code("some") is returned
    assert loader().get_code(name="some") is returned
    assert known == {}


def test_errors_are_passed_on():
    loader = type("Loader", (), {"get_code": sharing(lambda loader, name: 1 / 0, {})})()
    with pytest.raises(ZeroDivisionError):
        loader.get_code("some")
    with pytest.raises(TypeError):
        loader.get_code()
    for wrong in [(), (len,), (len, []), (len, {}, {})]:
        with pytest.raises(TypeError):
            sharing(*wrong)


def test_nothing_leaks():
    data, counts = marshal.dumps(compile(FUNCTIONS, "some.py", "exec")), []
    for _ in range(3):
        for _ in range(100):
            shared(lambda: marshal.loads(data))
        gc.collect()
        counts.append(sys.getallocatedblocks())
    assert counts[2] - counts[1] < 50


def test_the_loaders_are_afterwards_what_they_were():
    before = [vars(loader).get("get_code") for loader in (SourceFileLoader, SourcelessFileLoader)]
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), SharedCode():
            assert all("get_code" in vars(loader) for loader in (SourceFileLoader, SourcelessFileLoader))
            raise ZeroDivisionError
        assert [vars(loader).get("get_code") for loader in (SourceFileLoader, SourcelessFileLoader)] == before


def test_who_puts_his_own_before_it_keeps_it(tmp_path, monkeypatch):
    (tmp_path / "some.py").write_text("a = 1\n")
    monkeypatch.setattr(SourceFileLoader, "get_code", SourceFileLoader.get_code)  # so that it is put back
    seen = []
    with SharedCode():
        ours = SourceFileLoader.get_code
        SourceFileLoader.get_code = lambda self, name: seen.append(name) or ours(self, name)
    exec(SourceFileLoader("some", f"{tmp_path}/some.py").get_code("some"), space := {})
    assert (seen, space["a"]) == (["some"], 1)


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
from saltare._shared_code import SharedCode
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
        return parse(
            subprocess.run(
                command, env=environment(tmp_path), capture_output=True, text=True, timeout=HANG, check=True
            ).stdout
        )[1]

    private("contextlib.nullcontext")  # the bytecode is cached
    plain, small = (min(private(meanwhile) for _ in range(3)) for meanwhile in ("contextlib.nullcontext", "SharedCode"))
    assert plain - small > 200
