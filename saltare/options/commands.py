"""`saltare run` and `saltare dev`, which do what FastAPI's commands of these names do: their defaults and their search
for the app.
"""

import os

from ..errors import ConfigError
from ..toml import file_content, parsed
from .app_path import FILES, first_file, listed
from .net_values import ANY
from .values import brief

PROJECT = "pyproject.toml"


class Command:
    """What a command adds to the options of its line. `app`: the name of --app, if no path is given."""

    def __init__(self, name, app=None):
        self.name, self.app = name, app
        self.title = f"saltare {name}"
        self.dev = name == "dev"

    def typed(self):
        """What the command asks for as if it were typed."""
        return {"reload": True} if self.dev else {}

    def defaults(self):
        return {} if self.dev else {"host": ANY}

    def environment(self):
        """Variables for the app, unless they are set, or None."""
        return {"FASTAPI_ENV": "development"} if self.dev else None

    def search(self, reading, cwd, app_needed):
        """The app, where the line gives none, and its source. The app is None if there is none, and that is a problem
        if it is needed.
        """
        entrypoint, source = (None, "") if self.app else self._entrypoint(reading, cwd)
        if entrypoint:
            return entrypoint, source
        folder = reading.found["app_dir"].value if "app_dir" in reading.found else "."
        file = first_file(os.path.join(cwd, folder))
        if file is None and app_needed:
            reading.problems.append(
                f"app: none given, and there is no {listed(FILES)} in {os.path.abspath(os.path.join(cwd, folder))}; "
                f"write {self.title} PATH, or {self.title} module:attribute"
            )
            reading.broken.add("app")
        if file is None:
            return None, ""
        file = os.path.relpath(file, cwd)
        return f"{file}:{self.app}" if self.app else file, f"app, found by {self.title}"

    def _entrypoint(self, reading, cwd):
        """The app that [tool.fastapi] of pyproject.toml names, and its source; None: there is none."""
        source = f"entrypoint of [tool.fastapi] in {PROJECT}"
        try:
            content = file_content(PROJECT, os.path.join(cwd, PROJECT), required=False)
            table = parsed(PROJECT, content).get("tool", {}).get("fastapi", {}) if b"fastapi" in content else {}
        except ConfigError as error:
            reading.problems += [one for one in error.problems if one not in reading.problems]
            return None, source
        entrypoint = table.get("entrypoint") if isinstance(table, dict) else None
        module, _, name = entrypoint.partition(":") if isinstance(entrypoint, str) else ("", "", "")
        if entrypoint is not None and not (module and name):
            reading.problems.append(f'{source}: got {brief(entrypoint)}; accepted: "module:attribute"')
            return None, source
        return entrypoint, source
