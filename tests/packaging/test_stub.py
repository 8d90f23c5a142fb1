"""_core.pyi names what the core has, and nothing else. Per process."""

import ast

import pytest
from builds import ROOT

import saltare._core


def public(names):
    return {name for name in names if not name.startswith("_")}


def declared(body):
    """The names that a module or a class of the stub defines."""
    for node in body:
        if isinstance(node, ast.AnnAssign):
            yield node.target.id
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name


STUB = ast.parse((ROOT / "saltare" / "_core.pyi").read_text())
CLASSES = [node for node in STUB.body if isinstance(node, ast.ClassDef)]


def test_module():
    assert public(declared(STUB.body)) == public(vars(saltare._core))


@pytest.mark.parametrize("node", CLASSES, ids=lambda node: node.name)
def test_class(node):
    assert public(declared(node.body)) == public(vars(getattr(saltare._core, node.name)))
