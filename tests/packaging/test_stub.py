"""The stubs of the extension modules declare exactly what these have."""

import ast
import importlib

import pytest

from builds import MODULES, ROOT


def public(names):
    return {name for name in names if not name.startswith("_")}


def declared(node, classes):
    """The names that a module or class of the stub defines, including those of base classes in the stub."""
    for child in node.body:
        if isinstance(child, ast.AnnAssign):
            yield child.target.id
        elif isinstance(child, (ast.FunctionDef, ast.ClassDef)):
            yield child.name
    for base in getattr(node, "bases", []):
        yield from declared(classes[base.id], classes)


@pytest.mark.parametrize("name", MODULES)
def test_stub(name):
    stub = ast.parse((ROOT / "saltare" / f"{name.removesuffix('_full')}.pyi").read_text())
    module = importlib.import_module(f"saltare.{name}")
    classes = {node.name: node for node in stub.body if isinstance(node, ast.ClassDef)}
    assert public(declared(stub, classes)) == public(vars(module))
    for name in public(classes):
        assert public(declared(classes[name], classes)) == public(vars(getattr(module, name))), name
