"""Reads the command line: our options, other servers' names for them, and every problem with the line."""

import os
import re

from ..options import sources, table
from ..options.net_values import ServerHeader
from ..options.values import Flag, brief

ACTIONS = {
    "--check": "check",
    "--check-config": "check",  # gunicorn's name
    "--print-config": "print-config",
    "--version": "version",
    "-v": "version",
    "--help": "help",
    "-h": "help",
}
APP = re.compile(r"[^\W\d][\w.]*:[^\W\d][\w.]*(\(.*\))?|.*\.py(:.*)?")
ACCEPTED = "one MODULE:ATTRIBUTE and the options in saltare --help"
COMMANDS = ("run", "dev")  # those of FastAPI; options/commands.py says what they do
FASTAPIS = {"-e": "--entrypoint", "-v": "--verbose"}  # with these commands
PYTHON = re.compile(r"(python|pypy)[\d.]*")
SERVERS = ("uvicorn", "gunicorn", "granian", "hypercorn", "fastapi", "saltare")
# What short flags are in lines of one server, where they are something else here or elsewhere.
THEIRS = {"gunicorn": {"-p": "pidfile"}, "hypercorn": {"-p": "pidfile"}}
ATTRIBUTES = {"gunicorn": "application", "hypercorn": "app"}  # in a module that is given without one
OWN = {option.flag: (option, None) for option in table.OPTIONS if option.name != "app"}
OWN.update({option.off_flag: (option, False) for option in table.OPTIONS if option.off_flag})


class Line:
    """What a command line gives: `given`, name -> text, True or False, or a list of texts; `action`; `problems`; and
    `command`, an options.commands.Command or None. `program`: the server whose line it is, or None.
    """

    def __init__(self, arguments, program=None):
        self.given, self.action, self.problems = {}, None, []
        self.program = program
        self.command = None
        self._named = None  # the value of --app
        self._previous = None  # the option just before, as in options.unknown.too_many
        self._remaining = self._without_program(list(arguments))
        while self._remaining:
            one = self._remaining.pop(0)
            if one == "--":
                while self._remaining:
                    self._positional(self._remaining.pop(0))
            elif one.startswith("--"):
                self._long(one)
            elif one.startswith("-") and one != "-":
                self._short(one)
            else:
                self._positional(one)
        if self._named is not None:
            self._name_app()
        if isinstance(self.given.get("app"), str) and program in ATTRIBUTES:
            self.given["app"] = with_attribute(self.given["app"], program)

    def _without_program(self, arguments):
        """The arguments, without the name of a program that may stand in front if a whole line was copied."""
        name = os.path.basename(arguments[0]) if arguments else ""
        if name not in SERVERS and not PYTHON.fullmatch(name):
            return arguments
        of_python = (
            "write the app, such as main:app, or saltare as-uvicorn PROGRAM if the program starts uvicorn by itself"
        )
        of_server = "write what follows it, or saltare doctor in front of the line"
        advice = of_server if name in SERVERS else of_python
        self.problems.append(f"{arguments[0]}: the name of a program; {advice}")
        return arguments[1:] if name in SERVERS else ["app:app"]

    def _positional(self, text):
        if text in COMMANDS and self.command is None and "app" not in self.given:
            from ..options.commands import Command

            self.command = Command(text)
        elif "app" in self.given:
            from ..options.unknown import too_many

            hint = too_many(text, self.given["app"], self._previous, sources.flag_of)
            self.problems.append(f"{text}: one argument too many; {hint or f'accepted: {ACCEPTED}'}")
        else:
            self.given["app"] = text
        self._previous = None

    def _name(self, name):
        if self._named not in (None, name):
            self.problems.append(
                f"--app: contradicts an earlier one: got {self._named!r} and {name!r}; it is accepted once"
            )
        self._named = name

    def _name_app(self):
        """Joins the name of --app to the path, or to the one that the command will find."""
        path, name = self.given.get("app"), self._named
        if path is None and self.command is not None and ":" not in name:
            self.command.app = name
        elif path is None and ":" in name:
            self.given["app"] = name
        elif path is None:
            self.problems.append(f"--app: got {brief(name)}, but no path; write saltare PATH --app {name}")
        elif ":" in path or ":" in name:
            self.problems.append(f"--app: got {brief(name)} beside {brief(path)}; accepted with a path, as a name")
        else:
            self.given["app"] = f"{path}:{name}"

    def _long(self, argument):
        flag, equals, value = argument.partition("=")
        if flag == "--app":
            self._name(value if equals else self._value(flag, "the name of the app in the file"))
        elif flag in ACTIONS and not equals:
            self._act(flag)
        elif flag in OWN:
            self._own(flag, value if equals else None)
        else:
            self._foreign(flag[2:].replace("-", "_"), flag, value if equals else None)

    def _short(self, argument):
        flag, value = argument[:2], argument[2:].removeprefix("=")
        if self.command is not None and flag in FASTAPIS:
            self._long(FASTAPIS[flag] + (f"={value}" if value else ""))
        elif flag in THEIRS.get(self.program, ()):
            self._foreign(THEIRS[self.program][flag], flag, value or None)
        elif argument in ACTIONS:
            self._act(argument)
        else:
            self._foreign(flag, argument, value or None)

    def _act(self, flag):
        if self.action not in (None, ACTIONS[flag]):
            self.problems.append(
                f"{flag}: contradicts an earlier one: got {self.action!r} and {ACTIONS[flag]!r}; it is accepted once"
            )
        self.action = ACTIONS[flag]

    def _own(self, flag, value):
        option, constant = OWN[flag]
        if value is None and option.name == "access_log" and self._is_file(option.kind):
            self._foreign("access_logfile", flag, None)  # hypercorn's --access-log FILE
            return
        if constant is False:
            if value is not None:
                self.problems.append(f"{flag}: got {brief(value)}; it takes no value")
                return
            value = False
        elif value is None and isinstance(option.kind, Flag):
            # As `--ws-per-message-deflate true` of uvicorn.
            value = (
                self._remaining.pop(0) if self._remaining and self._remaining[0].lower() in option.kind.words else True
            )
        elif value is None and isinstance(option.kind, ServerHeader):
            # Alone it switches on, as in uvicorn.
            value = self._remaining.pop(0) if self._is_value(but_no_app=True) else True
        elif value is None:
            value = self._value(flag, option.kind.accepts)
        if value is not None:
            self._store(option.name, flag, value, option.kind)

    def _foreign(self, name, shown, value):
        from ..options import foreign

        row = foreign.BY_NAME.get(name)
        off = row is None and name.startswith("no_") and foreign.BY_NAME.get(name[3:])
        if off and off.takes != foreign.VALUE and value is None:
            self._store(name[3:], shown, False)
        elif row is None:
            if value is None and self._is_value(but_no_app=True):
                value = self._remaining.pop(0)  # most likely; it is not one argument too many
            from ..options.unknown import unknown

            given = "" if value is None else f", got {value!r}"
            self.problems.append(f"{shown.partition('=')[0]}: {unknown(name, given, sources.flag_of)}")
        else:
            if value is None and row.takes == foreign.VALUE and self._is_value():
                value = self._remaining.pop(0)
            elif value is None and row.takes == foreign.VALUE:
                self.problems.append(f"{shown}: {foreign.without_value(row)}")
            elif value is None:
                takes = row.takes == foreign.EITHER and self._is_value(but_no_app=True)
                value = self._remaining.pop(0) if takes else True
            if value is not None:
                self._store(name, shown, value, foreign.kind(row), foreign.is_spelling(row))

    def _value(self, flag, accepts):
        if self._is_value():
            return self._remaining.pop(0)
        self.problems.append(f"{flag}: a value is missing; accepted: {accepts}")
        return None

    def _is_value(self, but_no_app=False):
        """Whether the next argument is the value of the option before it."""
        if not self._remaining:
            return False
        text = self._remaining[0]
        if text.startswith("-") and not (text == "-" or text[1].isdigit()):
            return False
        return not (but_no_app and APP.fullmatch(text))

    def _is_file(self, kind):
        """Whether the next argument, which belongs to no option of this kind, can only be the name of a file."""
        if "app" not in self.given or not self._is_value(but_no_app=True):
            return False
        text = self._remaining[0]
        return text.lower() not in kind.words and not text.isdigit()

    def _store(self, name, flag, value, kind=None, once=True):
        self._previous = (flag.partition("=")[0], value, kind is not None and kind.many)
        before = self.given.get(name)
        several = kind is not None and kind.many and not isinstance(value, bool)
        if several and isinstance(before, list):
            before.extend(split(kind, value))
        elif before is None or not once:
            self.given[name] = split(kind, value) if several else value
        elif before != value:
            self.problems.append(
                f"{flag}: contradicts an earlier one: got {before!r} and {value!r}; it is accepted once"
            )


def split(kind, text):
    """The values in one text; only commas separate them on a command line."""
    values = text.split(kind.separator) if kind.separator == "," else [text]
    return [one.strip() for one in values if one.strip()] or [text]


def with_attribute(app, program):
    """The app as that server understands its name."""
    app = app.removeprefix("asgi:") if program == "hypercorn" else app
    return app if ":" in app or "/" in app or app.endswith(".py") else f"{app}:{ATTRIBUTES[program]}"
