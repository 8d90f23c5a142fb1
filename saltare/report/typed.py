"""What `saltare doctor` is given: a command line as it is typed for a server, with the program's name and what starts
the program in front, or in quotes as a whole.
"""

import json
import os
import re
import shlex

from ..launch.arguments import COMMANDS, PYTHON, SERVERS
from ..options.values import one_of

NAMES = one_of(SERVERS, "and")
OTHERS = {
    "daphne": "saltare does not know daphne's options; write those of saltare --help",
    "waitress-serve": "waitress runs WSGI apps, and saltare ASGI apps",
    "uwsgi": "uWSGI runs WSGI apps, and saltare ASGI apps",
    "flask": "Flask's apps are WSGI apps, and saltare runs ASGI apps",
}
STARTERS = (
    *("exec", "env", "nohup", "time", "nice", "sudo", "setpriv", "dumb-init", "tini", "conda", "doppler", "coverage"),
    *("poetry", "pipenv", "uv", "uvx", "pdm", "hatch", "rye", "pipx"),
    *("ddtrace-run", "newrelic-admin", "opentelemetry-instrument"),
)
SHELLS = ("sh", "bash", "dash", "zsh")
VALUED = ("--with", "--from", "--python", "-p", "--package", "--extra", "--group")  # of STARTERS, with a name behind
OWN = ("doctor", "memory", "as-uvicorn")
ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
MODULE = re.compile(r"-[A-Za-z]*m(.*)")  # of Python, also behind other letters: -um
APP = re.compile(r":\w|\.py$")
# What stands before the line in a Procfile, a Dockerfile and a unit of systemd.
BEFORE = re.compile(r"\s*(?:[\w-]+:\s+|(?:CMD|ENTRYPOINT)\s+|ExecStart\s*=\s*[-@:+!]*)")
OPERATORS = ("&", "|", ";", "<", ">", "1>", "2>")
ONE_LINE = "give doctor the one command that starts the server"


class Misread(Exception):
    """It is no line of a server; the text says why, and what to write."""


class Typed:
    """`arguments` of the server, `program`, its name or None, and `environment`, the variables set in the line.

    Raises Misread.
    """

    def __init__(self, words):
        self.program, self.environment = None, {}
        quoted = len(words) == 1 and not os.path.exists(words[0])
        self.arguments = self._server(split(words[0]) if quoted else list(words))

    def _server(self, words):
        """The words behind the server's name; all of them, if they begin with no program."""
        while words and (found := ASSIGNMENT.fullmatch(words[0])):
            self.environment[found[1]] = found[2]
            words = words[1:]
        if not words or words[0].startswith("-"):
            return words
        name, rest = os.path.basename(words[0]), words[1:]
        if name in SERVERS:
            return self._of(name, rest)
        if name in OTHERS:
            raise Misread(f"{words[0]}: {OTHERS[name]}")
        if PYTHON.fullmatch(name):
            return self._python(words[0], rest)
        if name in SHELLS:
            return self._shell(words[0], rest)
        if not rest or (name not in STARTERS and (is_app(words[0]) or not is_command(words[0]))):
            return words
        for at, (before, word) in enumerate(zip(words, rest, strict=False)):
            if before not in VALUED and (ASSIGNMENT.fullmatch(word) or is_known(os.path.basename(word))):
                return self._server(rest[at:])
        raise Misread(
            f"{words[0]}: there is none of {one_of(SERVERS, 'and')} behind it; write the line of the server itself"
        )

    def _of(self, name, words):
        if name == "saltare" and words and words[0] in OWN:
            raise Misread(f"saltare {words[0]}: doctor is for a line that serves; write saltare doctor and that line")
        self.program = name
        return words

    def _python(self, python, words):
        while words and words[0].startswith("-"):
            option, words = words[0], words[1:]
            if option in ("-X", "-W"):
                words = words[1:]
            elif option.startswith("-c"):
                raise Misread(f"{python} -c: doctor does not read programs; {ONE_LINE}")
            elif found := MODULE.fullmatch(option):
                module, words = (found[1], words) if found[1] else ("".join(words[:1]), words[1:])
                name = module.partition(".")[0]
                if name in SERVERS:
                    return self._of(name, words)
                raise Misread(f"{python} -m {module}: {itself(f'-m {module}')}")
        if words and is_known(os.path.basename(words[0])):
            return self._server(words)
        raise Misread(f"{python} {''.join(words[:1])}: {itself(''.join(words[:1]) or 'PROGRAM')}")

    def _shell(self, shell, words):
        while words and words[0].startswith("-"):
            option, words = words[0], words[1:]
            if option.endswith("c") and words:
                return self._server(split(words[0]))
        raise Misread(f"{shell}: doctor reads no scripts; {ONE_LINE}")


def itself(program):
    return f"none of {NAMES}; saltare as-uvicorn {program} is for a program that starts uvicorn by itself"


def split(text):
    """The words of a whole line, or of a list in JSON, as Dockerfiles have it."""
    found = BEFORE.match(text)
    text = text[found.end() :] if found else text
    if text.startswith("["):
        try:
            words = json.loads(text)
        except ValueError:
            words = None
        if isinstance(words, list) and all(isinstance(one, str) for one in words):
            return words
    try:
        words = shlex.split(text.replace("\\\n", " "))
    except ValueError as error:
        raise Misread(f"the line {text!r}: {str(error).lower()}; close it") from None
    for word in words if len(words) > 1 else ():
        if word.startswith(OPERATORS) or word.endswith(";"):
            raise Misread(f"{word}: the shell reads this; {ONE_LINE}, without it")
        if re.search(r"\$[\w{(]", word):
            raise Misread(f"{word}: only a shell fills this in; write the line without quotes around it, or the value")
    return words


def is_known(name):
    return name in (*SERVERS, *OTHERS, *STARTERS, *SHELLS) or bool(PYTHON.fullmatch(name))


def is_app(word):
    """Whether it names an app, or could: there is a folder or a module of that name."""
    file = f"{word.replace('.', '/')}.py"
    return bool(APP.search(word)) or word in COMMANDS or os.path.isdir(word) or os.path.isfile(file)


def is_command(word):
    """Whether a shell would find a program of that name."""
    from shutil import which

    return which(word) is not None
