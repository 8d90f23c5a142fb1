"""An app given by the path of its file: the module, the folder, the app in it, and what is refused."""

import subprocess
import sys

import pytest

from app_paths import APP, failed, found, refused, typed
from saltare.app import importer
from saltare.errors import ConfigError
from saltare.options import sources

CLASS = "class Made:\n    async def __call__(self, scope, receive, send): ...\n"


# ---- the file and the folder ----


@pytest.mark.parametrize(
    ("files", "command", "target", "folder"),
    [
        (["main.py"], "run", "main:app", "."),
        (["app.py"], "run", "app:app", "."),
        (["api.py"], "dev", "api:app", "."),
        (["app/main.py"], "run", "main:app", "app"),
        (["app/__init__.py", "app/main.py"], "run", "app.main:app", "."),
        (["app/__init__.py", "app/app.py"], "run", "app.app:app", "."),
        (["app/api.py"], "run", "api:app", "app"),
        (["main.py", "app.py", "app/main.py"], "run", "main:app", "."),
        (["app/main.py", "api.py"], "run", "api:app", "."),
        (["__init__.py", "main.py"], "run", "project.main:app", ".."),
        (["web.py"], "run web.py", "web:app", "."),
        (["web.py"], "web.py", "web:app", "."),
        (["web.py"], "./web.py", "web:app", "."),
        (["web.py"], "{folder}/web.py", "web:app", "."),
        (["my-web.py"], "my-web.py", "my-web:app", "."),
        (["a/__init__.py", "a/b/__init__.py", "a/b/web.py"], "a/b/web.py", "a.b.web:app", "."),
        (["a/b/__init__.py", "a/b/web.py"], "a/b/web.py", "b.web:app", "a"),
        (["src/shop/__init__.py", "src/shop/main.py"], "run src/shop/main.py", "shop.main:app", "src"),
        (["src/shop/main.py"], "run src/shop/main.py --app-dir src", "shop.main:app", "src"),
        (["src/shop/main.py"], "run shop/main.py --app-dir src", "shop.main:app", "src"),
        (["src/main.py"], "run --app-dir src", "main:app", "src"),
        (["backend/main.py"], "backend", "main:app", "backend"),
        (["backend/app/__init__.py", "backend/app/main.py"], "run backend/", "app.main:app", "backend"),
        (["run/main.py"], "run run", "main:app", "run"),
        (["run.py"], "run:app", "run:app", "."),
        (["dev.py"], "dev:app", "dev:app", "."),
        (["dev.py"], "dev dev.py", "dev:app", "."),
        (["main.py"], "run main:app", "main:app", "."),
        (["main.py"], "main.py:app", "main:app", "."),
        (["main.py"], "main:", "main:app", "."),
        (["main.py"], "--app main:app", "main:app", "."),
        (["main.py"], "run --entrypoint main:app", "main:app", "."),
        (["main.py"], "run -e main:app", "main:app", "."),
        (["main.py"], "--port 1 run --header 'a: b' main.py --backlog 5", "main:app", "."),
    ],
)
def test_the_module_and_its_folder(project, tmp_path, monkeypatch, files, command, target, folder):
    (tmp_path / "project").mkdir()
    project(*(f"project/{name}" for name in files))
    monkeypatch.chdir(tmp_path / "project")
    text = command.format(folder=tmp_path / "project")
    assert found(text) == target
    assert (tmp_path / "project" / typed(text).app_dir).resolve() == (tmp_path / "project" / folder).resolve()


@pytest.mark.parametrize("path", ["shop", "shop/", "shop/__init__.py"])
def test_a_package(project, path):
    project("shop/__init__.py", "shop/web.py")
    (project() / "shop" / "__init__.py").write_text("from .web import app\n")
    assert found(path if "/" in path else f"run {path}") == "shop:app"


def test_a_symbolic_link_is_the_file_that_it_names(project):
    project("src/shop/__init__.py", "src/shop/main.py")
    (project() / "main.py").symlink_to("src/shop/main.py")
    assert found("run") == "shop.main:app"


def test_other_sources_name_a_path_too(project):
    project("web.py", "src/main.py", "src/api.py")
    assert found("", SALTARE_APP="web.py") == "web:app"
    (project() / "pyproject.toml").write_text('[tool.saltare]\napp = "src/api.py"\n')
    assert found("") == found("run") == "api:app"
    assert found("run", SALTARE_APP="web.py") == "web:app"
    assert found("run src/main.py", SALTARE_APP="web.py") == "main:app"


def test_programs_name_a_path_too(project):
    path = project("src/web.py") / "src" / "web.py"
    for app in (path, str(path), "src/web.py", "src/web.py:app"):
        config = sources.load(app, {}, environ={})
        assert importer.find(config)[0] == "web:app"


@pytest.mark.parametrize(
    ("command", "target"),
    [("run", "x.y:z"), ("dev", "x.y:z"), ("run main.py", "main:app"), ("run --app app", "main:app")],
)
def test_the_entrypoint_of_a_project(project, command, target):
    project("x/__init__.py", "main.py")
    (project() / "x" / "y.py").write_text(APP.replace("app", "z"))
    (project() / "pyproject.toml").write_text('[tool.fastapi]\nentrypoint = "x.y:z"\n')
    assert found(command) == target


def test_our_own_file_comes_before_the_entrypoint(project):
    project("main.py", "x.py")
    (project() / "pyproject.toml").write_text(
        '[tool.saltare]\napp = "x:app"\n[tool.fastapi]\nentrypoint = "main:app"\n'
    )
    assert found("run") == "x:app"


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("nix.py", "app: got 'nix.py' (there is no such file or folder in {cwd}); accepted: module:attribute, such as"),
        (
            "run nix",
            "app: got 'nix' (there is no colon in it); accepted: module:attribute, such as main:app, or a path",
        ),
        ("/nix/x.py", "app: got '/nix/x.py' (it does not exist); accepted: module:attribute"),
        ("web.api", "app: got 'web.api' (there is no colon in it; did you mean web:api?); accepted: "),
        ("web", "app: got 'web' (there is no colon in it; did you mean web.py, or web:app?); accepted: "),
        ("shop.main", "app: got 'shop.main' (there is no colon in it; did you mean shop/main.py, or shop.main:app?)"),
        ("notes.txt", "app: got 'notes.txt', which is no Python file: its name does not end in .py"),
        (
            "empty",
            "app: got 'empty', a folder with neither __init__.py nor main.py, app.py, api.py, app/main.py, app/app",
        ),
        ("my.web.py", "app: got 'my.web.py', and 'my.web' is no name of a module; rename it"),
        ("os.py", "app: got 'os.py', but Python has loaded another module called \"os\" already; rename os.py"),
        ("web.py --app-dir shop", "app: got 'web.py', which is not in app_dir, 'shop'; leave app_dir out, or name a"),
        ("web.py:a(5)", "app: got 'web.py:a(5)' (a factory is called without arguments"),
        (
            "run",
            "app: none given, and there is no main.py, app.py, api.py, app/main.py, app/app.py or app/api.py in {cwd};",
        ),
        ("dev --app x", "app: none given, and there is no main.py"),
        ("run --app-dir shop --app x", None),
        ("web.py --factory", "--factory: got True, but no name of the factory; write --app NAME as well"),
        ("web.py --app", "--app: a value is missing; accepted: the name of the app in the file"),
        ("web:app --app x", "--app: got 'x' beside 'web:app'; accepted with a path, as a name"),
        ("web.py --app a:b", "--app: got 'a:b' beside 'web.py'; accepted with a path, as a name"),
        ("web.py --app a --app b", "--app: contradicts an earlier one: got 'a' and 'b'; it is accepted once"),
        ("web.py web.py", "web.py: one argument too many; one app is served; leave 'web.py' or 'web.py' out"),
        ("run web.py -e web:app", "app and --entrypoint contradict each other"),
    ],
)
def test_refused(project, command, line):
    project("web.py", "shop/main.py", "notes.txt", "my.web.py", "os.py")
    (project() / "empty").mkdir()
    if line is None:
        assert typed(command).app == "main:x"
        return
    written = refused(command)
    assert written.startswith(line.format(cwd=project()))


def test_only_the_name(project):
    with pytest.raises(ConfigError) as caught:
        typed("--app x")
    assert caught.value.problems[0] == "--app: got 'x', but no path; write saltare PATH --app x"


def test_a_bad_entrypoint(project):
    project("main.py")
    (project() / "pyproject.toml").write_text("[tool.fastapi]\nentrypoint = 'main'\n")
    assert refused("run").startswith("entrypoint of [tool.fastapi] in pyproject.toml: got 'main'; accepted: ")
    (project() / "pyproject.toml").write_text("[tool.fastapi\n")
    assert refused("run").startswith("pyproject.toml: not valid TOML")


# ---- the app in the module ----


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (APP, "app"),
        (f"{APP}api = other = app\n", "app"),
        (f"{CLASS}api = Made()\naaa = Made()\n", "api"),
        (f"{CLASS}app = 5\nserver = Made()\n", "server"),
        (f"{CLASS}server = Made()\nsame = server\n", "same"),
        (f"{CLASS}_app = Made()\n", "_app"),
        (f"{CLASS}_inner = Made()\nouter = Made()\n", "outer"),
        ("async def application(scope, receive, send): ...\n", "application"),
        ("def application(_scope, _receive, _send): ...\n", "application"),
        (f"{CLASS}async def notify(user, subject, body): ...\nserver = Made()\n", "server"),
        ("async def app(s, r, w): ...\n", "app"),
        ("import functools\ndef f(a, b, c, d): ...\napp = functools.partial(f, 1)\n", "app"),
        ("def app(*arguments): ...\n", "app"),
        ("def app():\n    return made\nasync def made(a, b, c): ...\n", "app"),
        ("class A:\n    def handle(self, scope, receive, send): ...\nserver = A().handle\n", "server"),
        (
            "class A:\n    __slots__ = ('__call__',)\n    def __init__(self): self.__call__ = self.run\n"
            "    async def run(self, scope, receive, send): ...\nserver = A()\n",
            "server",
        ),
        (
            "import functools\ndef logged(f):\n    @functools.wraps(f)\n    def g(*a): return f(*a)\n    return g\n"
            "@logged\nasync def application(scope, receive, send): ...\n",
            "application",
        ),
        (
            "def __getattr__(name):\n    if name != 'app': raise AttributeError(name)\n"
            "    async def app(scope, receive, send): ...\n    return app\n",
            "app",
        ),
        (
            f"{CLASS}class Odd:\n    def __getattr__(self, name): raise RuntimeError('no context')\n"
            "    def __call__(self): ...\n    __class__ = property(lambda self: self.missing)\n"
            "request = Odd()\nserver = Made()\n",
            "server",
        ),
    ],
)
def test_the_app_in_the_module(project, text, name):
    project("main.py", text=text)
    assert found("run") == f"main:{name}"


def test_an_instance_from_elsewhere_is_one_and_a_function_is_not(project):
    project("web.py", text=f"{CLASS}server = Made()\nasync def inner(scope, receive, send): ...\n")
    project("main.py", text="from web import Made, inner, server\n")
    assert found("run") == "main:server"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            f"{CLASS}one = Made()\ntwo = Made()\n",
            'several apps in "main": one (Made), two (Made); --app NAME says which',
        ),
        (
            f"{CLASS}import functools\nserver = Made()\napp = functools.partial(server)\n",
            "app (partial), server (Made);",
        ),
        (
            "x = 5\n",
            "neither app nor api nor another attribute; --app NAME names it, and --app NAME --factory the func",
        ),
        (
            f"{CLASS}def create_app():\n    return Made()\n",
            "if create_app() makes it, write --app create_app --factory",
        ),
        (CLASS, "there is no ASGI app"),
        ("class app:\n    def __init__(self, scope, receive, send): ...\n", "there is no ASGI app"),
        (
            "class Flask:\n    def __call__(self, environ, start_response): ...\napp = Flask()\n",
            "app (Flask) takes two arguments, as WSGI apps do, and must be wrapped: a2wsgi.WSGIMiddleware(app)",
        ),
        ("def (:\n", 'importing "main" failed: SyntaxError: '),
        ("import nowhere_to_be_found\n", 'importing "main" failed: ModuleNotFoundError: '),
    ],
)
def test_no_app_or_several(project, text, message):
    project("main.py", text=text)
    assert message in failed("main.py")


def test_a_package_without_an_app(project):
    project("shop/__init__.py", "shop/main.py")
    assert failed("shop").endswith("another attribute; to serve the one in shop/main.py, write that path")


def test_the_name_says_which(project):
    project("main.py", text=f"{CLASS}one = Made()\ntwo = Made()\ndef make():\n    return one\n")
    assert found("run --app two") == found("main.py --app two") == found("--app=two dev") == "main:two"
    assert importer.load(typed("main.py --app make --factory")) is sys.modules["main"].one
    assert importer.load(typed("main.py --app 'make()'")) is sys.modules["main"].one
    assert failed("run --app tow") == 'app "main:tow": "main" has no attribute "tow"; did you mean two?'


FASTAPI = "from fastapi import APIRouter, FastAPI\nrouter = api = APIRouter()\nservice = FastAPI()\n"
STARLETTE = (
    "from starlette.applications import Starlette\nfrom starlette.responses import PlainTextResponse\n"
    "from starlette.routing import Route\nhello = PlainTextResponse('hello')\nroutes = Route('/', hello)\n"
    "service = Starlette(routes=[routes])\n"
)
LITESTAR = "from litestar import Litestar, get\n@get('/')\nasync def index() -> str:\n    return ''\nservice = Litestar([index])\n"
QUART = "from quart import Quart, current_app, g, request, websocket\nservice = Quart('main')\n"
DJANGO = (
    "import django.conf\nfrom django.core.asgi import get_asgi_application\n"
    "if not django.conf.settings.configured:\n    django.conf.settings.configure(ROOT_URLCONF='main', SECRET_KEY='x')\n"
    "urlpatterns = []\nservice = get_asgi_application()\n"
)


@pytest.mark.parametrize(
    ("package", "text"),
    [("fastapi", FASTAPI), ("starlette", STARLETTE), ("litestar", LITESTAR), ("quart", QUART), ("django", DJANGO)],
)
def test_frameworks(command, project, package, text):
    pytest.importorskip(package)
    project("main.py", text=text)
    code = (
        "from saltare.app import importer; from saltare.options import sources; "
        "print(importer.find(sources.load('main.py', {}, environ={}))[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "main:service\n"
