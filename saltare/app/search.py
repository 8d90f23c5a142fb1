"""Finds the app in a module that is given without the name of the app. No framework is imported for that."""

import os
from types import FunctionType

from ..errors import AppError
from .kind import arguments, is_a

NAMES = ("app", "api")
ASGI = ("scope", "receive", "send")
# Where classes come from whose instances are ASGI apps, but mostly parts of a larger one.
PARTS = ("starlette.routing", "starlette.responses", "starlette.staticfiles", "fastapi.routing")


def app_in(module):
    """The name of the app: `app`, `api`, or the only other attribute that is an ASGI app.

    That is an object, no class, which is called with scope, receive and send; a function only if it is the module's
    own. `app` and `api` may have other signatures, if they may take three arguments, or none as factories do.
    AppError: there is none, or there are several.
    """
    attributes = candidates(module)
    sure = {name: one for name, one in attributes.items() if is_app(one, module, name)}
    for name in NAMES:
        if name in sure and not is_part(sure[name]):
            return name
        if name in attributes and name not in sure and is_perhaps_app(attributes[name]):
            sure[name] = attributes[name]
            break
    names = sorted({id(one): name for name, one in sorted(sure.items(), reverse=True)}.values())
    if len(names) > 1:
        names = [name for name in names if not is_part(sure[name])] or names
    if any(not name.startswith("_") for name in names):
        names = [name for name in names if not name.startswith("_")]
    if len(names) == 1:
        return names[0]
    raise AppError(several(module, names, sure) if names else none(module, attributes))


def candidates(module):
    """The attributes by name; `app` and `api`, which a package may import on demand, come first."""
    found = {}
    for name in NAMES:
        try:
            found[name] = getattr(module, name)
        except Exception:
            continue
    for name, one in sorted(vars(module).items()):
        if not (name.startswith("__") and name.endswith("__")):
            found.setdefault(name, one)
    return {name: one for name, one in found.items() if callable(one) and not is_a(one, type)}


def is_app(one, module, name):
    if name in NAMES:
        least, most, _ = arguments(one, unwrap=True)
        return least == most == len(ASGI)
    if is_a(one, FunctionType) and one.__module__ != module.__name__:
        return False
    return tuple(each.strip("_") for each in arguments(one, unwrap=True)[2][: len(ASGI)]) == ASGI


def is_perhaps_app(one):
    least, most, _ = arguments(one, unwrap=True)
    return least <= len(ASGI) <= most or (is_a(one, FunctionType) and most == 0)


def is_part(one):
    return any(one.__module__ in PARTS for one in type(one).__mro__)


def beside(module, name):
    """A file in the folder of a package; "" for a module that is none."""
    return os.path.join(module.__path__[0], f"{name}.py") if getattr(module, "__path__", None) else ""


# ---- what to write instead ----


def several(module, names, found):
    listed = ", ".join(f"{name} ({type(found[name]).__name__})" for name in names)
    return f'there are several apps in "{module.__name__}": {listed}; --app NAME says which'


def none(module, attributes):
    text = f'there is no ASGI app in "{module.__name__}", neither app nor api nor another attribute'
    for name in NAMES:
        if name in attributes and arguments(attributes[name], unwrap=True)[1] == 2:
            kind, wrapped = type(attributes[name]).__name__, f"a2wsgi.WSGIMiddleware({name})"
            return f"{text}; {name} ({kind}) takes two arguments, as WSGI apps do, and must be wrapped: {wrapped}"
    if file := next((file for name in (*NAMES, "main") if os.path.isfile(file := beside(module, name))), None):
        return f"{text}; to serve the one in {os.path.relpath(file)}, write that path"
    for name, one in attributes.items():
        own = is_a(one, FunctionType) and one.__module__ == module.__name__
        if own and "app" in name and not arguments(one, unwrap=True)[0]:
            return f"{text}; if {name}() makes it, write --app {name} --factory"
    return f"{text}; --app NAME names it, and --app NAME --factory the function that makes it"
