"""Why a configuration file in Python is refused, and what its settings are called here; the file is not run."""

import os

from . import foreign
from .table import BY_NAME
from .values import Refused

UNREADABLE = "saltare reads TOML files; write its settings into one, or into [tool.saltare] of pyproject.toml"
KEEP = "Or keep gunicorn and this file: gunicorn -k saltare.workers.SaltareWorker -c FILE"


def refusal(path, cwd):
    """The text after the file's name."""
    why = "which is another server's own file, in Python"
    try:
        with open(os.path.join(cwd, path.removeprefix("file:")), encoding="utf-8") as file:
            settings = list(assigned(file.read()))
    except (OSError, ValueError, SyntaxError):
        return f"{why}; {UNREADABLE}"
    lines, left = [], []
    for name, value, text in settings:
        lines_of, why_not = advice(name, value, text)
        lines += lines_of
        left += why_not
    wanted = f"write a TOML file: {'; '.join(lines)}" if lines else UNREADABLE
    rest = f". Of the rest: {'; '.join(left)}" if left else ""
    keep = f". {KEEP}" if any(is_gunicorns(name) for name, _, _ in settings) else ""
    return f"{why}; {wanted}{rest}{keep}"


def is_gunicorns(name):
    """Whether only gunicorn has the setting."""
    row = foreign.BY_NAME.get(name)
    return row is not None and row.programs == "G"


def assigned(code):
    """(name, value or None, its text) of each setting; the value is None where it must be computed."""
    import ast

    for node in ast.parse(code).body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node.name, f"def {node.name}"
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                value = ast.literal_eval(node.value)
            except (ValueError, TypeError, SyntaxError):
                value = None
            yield node.targets[0].id, value, " ".join(ast.unparse(node.value).split())


def advice(name, value, text):
    """Lines of TOML, and why there is none."""
    row = foreign.BY_NAME.get(name)
    if row is None and name not in BY_NAME:
        return [], []
    if value is None and text == "None":
        return [], []
    if value is None:
        meaning = getattr(row, "meaning", None)
        ours = name if row is None else meaning.name if isinstance(meaning, foreign.Spelling) else None
        return ([f"{ours} = ... (there: {text})"] if ours else []), []
    try:
        ours = {name: value} if row is None else row.turn(value)
        return [f"{one} = {toml(BY_NAME[one].kind.read(given))}" for one, given in ours.items()], []
    except Refused as reason:
        return [], [f"{name}: {reason}"]


def toml(value):
    from .listing import toml_value

    return toml_value(None, value)
