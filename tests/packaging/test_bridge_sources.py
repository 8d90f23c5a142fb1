"""The files of the bridge: which may include which, that each is small, and that its contracts are complete."""

import re
from graphlib import TopologicalSorter

import pytest

from builds import ROOT

FOLDER = ROOT / "gocore"
INCLUDE = re.compile(r'^#include "(.+)"$', re.MULTILINE)


def sources():
    """The files of the bridge, and the headers outside it that they include."""
    inside = sorted(FOLDER.glob("*.[ch]"))
    paths = {(FOLDER / path).resolve() for file in inside for path in INCLUDE.findall(file.read_text())}
    return sorted({*inside, *paths})


TEXTS = {path.name: path.read_text() for path in sources()}
LONGEST = 400
# Headers with the insides of a type; other files include the type's other header.
INSIDES = {
    "py_core_type.h": {"core"},
    "py_exchange_type.h": {"exchange", "send", "websocket"},
    "py_websocket_type.h": {"websocket"},
}
DECLARED = re.compile(
    r"^#define (\w+)|^\} (\w+);|^typedef struct (\w+) \w+;|^typedef .*\(\*(\w+)\)|^(?:struct|enum) (\w+) \{"
    r"|^ +([A-Z][A-Z_]+)(?: = \w+)?,|^\w[\w ]*[ *](\w+)\(|^extern \w+ (\w+)",
    re.MULTILINE,
)


def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)


CODE = {name: without_comments(text) for name, text in TEXTS.items()}
INCLUDED = {name: {path.split("/")[-1] for path in INCLUDE.findall(text)} for name, text in TEXTS.items()}


def subject(name):
    """py_core.c, py_core.h and py_core_turn.c belong to one subject."""
    stem = name.split(".")[0]
    return stem.split("_")[1] if stem.startswith("py_") else stem


def test_no_subject_includes_one_that_includes_it():
    graph = {}
    for name, included in INCLUDED.items():
        graph.setdefault(subject(name), set()).update(
            subject(other) for other in included if subject(other) != subject(name)
        )
    order = list(TopologicalSorter(graph).static_order())  # CycleError names the subjects
    assert (
        order.index("bridge")
        < order.index("loop")
        < order.index("exchange")
        < order.index("websocket")
        < order.index("core")
    )
    assert order[-1] == "module"


def test_the_inside_of_a_type_is_included_where_it_belongs():
    for header, subjects in INSIDES.items():
        assert {subject(name) for name, included in INCLUDED.items() if header in included} == subjects, header


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_a_file_includes_only_what_it_uses(name):
    used = set(re.findall(r"\w+", re.sub("^#include .*", "", CODE[name], flags=re.MULTILINE)))
    if "EACH_TYPE" in used:
        used |= set(re.findall(r"py_\w+_spec", CODE["py_names.h"]))
    for header in INCLUDED[name] - {"py_state.h"}:
        declared = {word for words in DECLARED.findall(CODE[header]) for word in words if word}
        assert subject(header) == subject(name) or declared & used, f"{header} is included for nothing"


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_a_file_is_small_and_begins_with_what_is_in_it(name):
    assert TEXTS[name].count("\n") <= LONGEST
    assert TEXTS[name].startswith("/* ")
    if name.endswith(".h"):
        assert TEXTS[name].startswith(f"/* {name}: ")


def test_each_file_that_holds_python_objects_includes_the_rule():
    """It is declared at the top of py_state.h, which every header of the bridge includes."""
    rule = "nothing borrowed survives a call that may run Python"
    assert [name for name, text in TEXTS.items() if rule in " ".join(text.split())] == ["py_state.h"]
    for name, code in CODE.items():
        if name.startswith("py_") and "PyObject" in code and name not in ("py_state.h", "py_names.h"):
            reached, left = set(), {name}
            while left:
                reached |= left
                left = {header for one in left for header in INCLUDED[one]} - reached
            assert "py_state.h" in reached, name


def test_each_name_of_the_state_is_used():
    names = re.findall(r"DO\((\w+), \"", CODE["py_names.h"])
    assert len(names) == len(set(names)) > 40
    others = "\n".join(code for name, code in CODE.items() if name.endswith(".c"))
    unused = [name for name in names if not name.startswith("m_") and not re.search(rf"(->|\.){name}\b", others)]
    assert unused == []


def test_each_function_of_the_border_has_a_complete_contract():
    text = TEXTS["bridge.h"]
    section = text[text.index("#ifndef SALTARE_GO_PREAMBLE") :]
    functions = re.findall(r"/\*((?:(?!\*/).)*)\*/\n[\w ]+?\*?(saltare_\w+)\([^;]*\);", section, re.DOTALL)
    exported = re.findall(r"^//export (\w+)$", (FOLDER / "export.go").read_text(), re.MULTILINE)
    assert sorted(name for _, name in functions) == sorted(exported)
    for comment, name in functions:
        parts = re.findall(r"^ \* (Threads|Owns|Units|Returns): \S", comment, re.MULTILINE)
        assert parts == ["Threads", "Owns", "Units", "Returns"], name
        assert re.match(r" [A-Z]", comment), name
