"""An app given as the path of a file or a package: the module that it is, and the folder for sys.path.

The rules are those of FastAPI's command. The app's name in the module is looked for when it is imported: a target
that ends in a colon, `shop.main:`, asks app/search.py for it.
"""

import os
import sys

from .values import APP_ACCEPTS, brief, split_path

FILES = ("main.py", "app.py", "api.py", "app/main.py", "app/app.py", "app/api.py")
PACKAGE = "__init__.py"


class Unsuitable(Exception):
    """The path names no module; the text says why, and what to write."""


def resolve(reading, cwd):
    """Replaces the path in reading.found["app"] by the module, and sets app_dir to the folder from which it counts."""
    app = reading.found["app"]
    path, name = split_path(app.value)
    chosen = reading.found.get("app_dir")
    try:
        file = located(path, cwd, chosen)
        folder, names = place(file) if chosen is None else place_in(chosen.value, cwd, file)
        check_names(names, os.path.join(cwd, folder), path)
    except Unsuitable as why:
        reading.problems.append(f"{app.label}: got {brief(app.value)}{why}")
        reading.broken.add("app")
        return
    if chosen is None and not same(folder, cwd):
        reading.found["app_dir"] = type(app)(folder, app.rank, app.label, f"{app.source}, from {path}")
    app.value = f"{'.'.join(names)}:{name}"


def located(path, cwd, app_dir):
    """The file, or the folder of a package."""
    for folder in [cwd] if app_dir is None else [cwd, os.path.join(cwd, app_dir.value)]:
        whole = os.path.join(folder, path)
        if os.path.isfile(whole) and path.endswith(".py"):
            return os.path.dirname(whole) if os.path.basename(whole) == PACKAGE else whole
        if os.path.isfile(os.path.join(whole, PACKAGE)):
            return whole
        if os.path.isdir(whole):
            if file := first_file(whole):
                return file
            raise Unsuitable(f", a folder with neither {PACKAGE} nor {listed(FILES)}; write the path of the file")
        if os.path.exists(whole):
            raise Unsuitable(", which is no Python file: its name does not end in .py")
    raise Unsuitable(f" ({missing(path, cwd)}); accepted: {APP_ACCEPTS}")


def missing(path, cwd):
    """What a path that does not exist may have been."""
    if "/" in path or path.endswith(".py"):
        return f"there is no such file or folder in {os.path.abspath(cwd)}" if path[:1] != "/" else "it does not exist"
    file = f"{path.replace('.', '/')}.py"
    hint = f"; did you mean {file}, or {path}:app?" if os.path.isfile(os.path.join(cwd, file)) else ""
    module, _, name = path.rpartition(".")
    if not hint and name.isidentifier() and os.path.isfile(os.path.join(cwd, f"{module.replace('.', '/')}.py")):
        hint = f"; did you mean {module}:{name}?"
    return f"there is no colon in it{hint}"


def first_file(folder):
    """The file in which to look for an app, if no path is given."""
    return next((file for name in FILES if os.path.isfile(file := os.path.join(folder, name))), None)


def place(file):
    """The folder for sys.path, which holds the outermost package, and the names of the packages and the module."""
    file = os.path.realpath(file)
    names = [os.path.basename(file).removesuffix(".py")]
    folder = os.path.dirname(file)
    while os.path.isfile(os.path.join(folder, PACKAGE)):
        names.insert(0, os.path.basename(folder))
        folder = os.path.dirname(folder)
    return folder, names


def place_in(folder, cwd, file):
    """The same where the folder is given."""
    whole = os.path.join(cwd, folder)
    for spelled in (os.path.abspath, os.path.realpath):
        relative = os.path.relpath(spelled(file), spelled(whole))
        if relative != os.curdir and not relative.startswith(os.pardir):
            return folder, relative.removesuffix(".py").split(os.sep)
    raise Unsuitable(f", which is not in app_dir, {brief(folder)}; leave app_dir out, or name a folder above the file")


def check_names(names, folder, path):
    for name in names:
        if not name or "." in name:
            raise Unsuitable(f", and {brief(name)} is no name of a module; rename it")
    loaded = sys.modules.get(names[0])
    if loaded is None or names[0] == "__main__":
        return
    inside = os.path.join(os.path.realpath(folder), "")
    places = [getattr(loaded, "__file__", None), *getattr(loaded, "__path__", ())]
    if not any(place and os.path.realpath(place).startswith(inside) for place in places):
        raise Unsuitable(f', but Python has loaded another module called "{names[0]}" already; rename {path}')


def same(one, other):
    return os.path.realpath(one) == os.path.realpath(other)


def listed(names):
    return f"{', '.join(names[:-1])} or {names[-1]}"
