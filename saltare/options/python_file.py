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

    certain, computed = {}, []
    for name, node, condition in settings(ast.parse(code).body, ""):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            value, text = name, f"def {name}"
        else:
            value, text = literal(node), " ".join(ast.unparse(node).split())
        if condition and text == "None":
            continue
        if condition or isinstance(node, ast.AugAssign):
            computed.append((name, None, f"{text}{condition}"))
        else:
            certain[name] = value, text  # the last one counts
    yield from ((name, value, text) for name, (value, text) in certain.items())
    yield from computed


def settings(nodes, condition):
    """(name, node of its value, text of the condition) of each assignment and function, also within statements."""
    import ast

    for node in nodes:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node, condition
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                yield from ((name, value, condition) for name, value in pairs(target, node.value))
        elif isinstance(node, (ast.AnnAssign, ast.AugAssign)) and isinstance(node.target, ast.Name) and node.value:
            yield node.target.id, node if isinstance(node, ast.AugAssign) else node.value, condition
        elif isinstance(node, ast.If):
            test = " ".join(ast.unparse(node.test).split())
            yield from settings(node.body, f"{condition} if {test}")
            yield from settings(node.orelse, f"{condition} unless {test}")
        elif not isinstance(node, ast.ClassDef):
            inner = [one for name in ("body", "handlers", "orelse", "finalbody") for one in getattr(node, name, ())]
            yield from settings(inner, condition or " in some cases")


def pairs(target, value):
    """(name, node of its value) of each name that one assignment sets."""
    import ast

    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, (ast.Tuple, ast.List)):
        same = isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts)
        for one, part in zip(target.elts, value.elts if same else [value] * len(target.elts), strict=True):
            yield from pairs(one, part if same else ast.Subscript(value, ast.Name("..."), ast.Load()))


def literal(node):
    import ast

    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return None


def advice(name, value, text):
    """Lines of TOML, and why there is none."""
    row = foreign.BY_NAME.get(name)
    if row is None and name not in BY_NAME:
        return [], []
    if value is None and text == "None":
        return [], []
    if value is None:
        meaning = getattr(row, "meaning", None)
        if isinstance(meaning, foreign.Refusal):
            return [], [f"{name}: {meaning.reason}"]
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
