"""From "module:attribute" to the app: what is found, and the message for each failure."""

import subprocess
import sys

import pytest

from saltare.app import importer
from saltare.errors import AppError, ConfigError
from saltare.options import sources


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An app folder; its modules are forgotten afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def load(tmp_path):
    def loaded(app, **given):
        cfg = sources.load(app, {"app_dir": str(tmp_path), **given}, environ={}, cwd=tmp_path)
        return importer.load(cfg)

    return loaded


@pytest.fixture
def failed(load):
    def error(app, **given):
        with pytest.raises(AppError) as caught:
            load(app, **given)
        assert "\n" not in str(caught.value)
        return caught.value

    return error


APP = "async def app(scope, receive, send): ...\n"


def test_attribute(load, folder):
    folder("one_app.py", APP)
    assert load("one_app:app").__name__ == "app"


def test_dotted_on_both_sides(load, folder):
    folder("pkg_a/__init__.py", "")
    folder("pkg_a/web.py", f"class holder:\n    class inner:\n        {APP}")
    assert load("pkg_a.web:holder.inner.app").__name__ == "app"


def test_app_folder_comes_first(load, folder, tmp_path):
    folder("json.py", "")
    folder("one_app.py", APP)
    load("one_app:app")
    assert sys.path[0] == str(tmp_path)


def test_app_folder_asked_for_serves_what_an_app_imports_later(load, folder, tmp_path):
    load(lambda scope, receive, send: None)
    assert sys.path[0] == str(tmp_path)


def test_second_load_changes_nothing(folder, tmp_path):
    folder("one_app.py", f"made = []\n{APP}def make():\n    made.append(1)\n    return app\n")
    cfg = sources.load("one_app:make", {"app_dir": str(tmp_path), "factory": True}, environ={}, cwd=tmp_path)
    app = importer.load(cfg)
    assert importer.load(cfg) is app
    assert sys.modules["one_app"].made == [1]


def test_factory_given_as_object(load):
    async def app(scope, receive, send): ...

    assert load(lambda: app, factory=True) is app
    assert load(app) is app


def test_no_colon():
    with pytest.raises(AppError, match="not of the form"):
        importer.import_target("main")


def test_module_missing(failed, folder, tmp_path):
    folder("web_main.py", APP)
    error = failed("web_mian:app")
    start, _, end = str(error).partition(f" in {tmp_path} ")
    assert start == 'app "web_mian:app": there is no module "web_mian"'
    assert end == "or elsewhere on sys.path; did you mean web_main?"
    assert error.__cause__ is None


def test_submodule_missing(failed, folder):
    folder("pkg_b/__init__.py", "")
    assert str(failed("pkg_b.web:app")) == 'app "pkg_b.web:app": "pkg_b" has no module "web"'


def test_path_instead_of_module():
    with pytest.raises(AppError) as caught:  # of a loop; the path of an app is accepted
        importer.import_target("src/main.py:loop")
    assert str(caught.value) == ('app "src/main.py:loop": "src/main.py" is a path, not a module; write "src.main:loop"')


def test_import_inside_the_module_is_told_apart(failed, folder):
    folder("needs_more.py", "import nowhere_to_be_found\n")
    error = failed("needs_more:app")
    assert str(error) == ("importing \"needs_more\" failed: ModuleNotFoundError: No module named 'nowhere_to_be_found'")
    assert isinstance(error.__cause__, ModuleNotFoundError)


def test_missing_sibling_is_told_apart(failed, folder):
    folder("pkg_c/__init__.py", "")
    folder("pkg_c/main.py", "import pkg_c.other\n")
    assert str(failed("pkg_c.main:app")).startswith('importing "pkg_c.main" failed: ModuleNotFoundError')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0\n", "failed: ZeroDivisionError: division by zero"),
        ("def broken(:\n", "failed: SyntaxError"),
        ("raise ValueError('two\\nlines')\n", "failed: ValueError: two lines"),
        ("raise ValueError\n", "failed: ValueError"),
        ("import sys\nsys.exit('no database')\n", "ended in sys.exit('no database')"),
    ],
)
def test_import_fails(failed, folder, text, message):
    folder("broken_app.py", text)
    error = failed("broken_app:app")
    assert str(error).startswith('importing "broken_app" ')
    assert message in str(error)
    assert error.__cause__ is not None


def test_interrupt_is_not_an_error_of_the_app(load, folder):
    folder("stopped.py", "raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load("stopped:app")


def test_attribute_missing(failed, folder):
    folder("one_app.py", APP + "application = app\n")
    assert str(failed("one_app:ap")) == 'app "one_app:ap": "one_app" has no attribute "ap"; did you mean app?'
    assert str(failed("one_app:app.x")) == 'app "one_app:app.x": "one_app.app" has no attribute "x"'


@pytest.mark.parametrize("name", ["app", "api", "application"])
def test_attribute_missing_and_the_usual_name_is_there(failed, folder, name):
    folder("one_app.py", f"{name} = 1\n")
    assert str(failed("one_app:server")).endswith(f'has no attribute "server"; did you mean {name}?')
    folder("two_app.py", "x = 1\n")
    assert str(failed("two_app:server")).endswith('has no attribute "server"')


def test_attribute_that_raises(failed, folder):
    folder("lazy.py", "def __getattr__(name):\n    raise RuntimeError('no ' + name)\n")
    error = failed("lazy:app")
    assert str(error) == 'app "lazy:app": reading "app" of "lazy" failed: RuntimeError: no app'


def test_not_callable(failed, folder):
    folder("one_app.py", "app = 'text'\n")
    assert str(failed("one_app:app")) == (
        'app "one_app:app" is of type str, which cannot be called; an app is called with scope, receive and send'
    )
    assert (
        str(failed("one_app:app", factory=True)) == 'the factory "one_app:app" is of type str, which cannot be called'
    )


def test_factory_not_declared(load, failed, folder, monkeypatch):
    lines = []
    monkeypatch.setattr("saltare.log.warning", lambda line, *rest: lines.append(line))
    folder("one_app.py", f"{APP}def make():\n    return app\nasync def later(): ...\n")
    assert load("one_app:make").__name__ == "app"
    assert lines == ['app "one_app:make" takes no arguments, so it is called as a factory; --factory says so']
    assert str(failed("one_app:later")) == (
        'app "one_app:later" takes no arguments, and an app takes three: scope, receive and send'
    )


WSGI = """
def function(environ, start_response): ...
class Flask:
    def __call__(self, environ, start_response): ...
    def wsgi(self, environ, start_response): ...
    @classmethod
    def made(cls): return cls()
app, method = Flask(), Flask().wsgi
class Response:
    def __init__(self, environ, start_response): ...
"""


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("function", "function"),
        ("app", "Flask"),
        ("method", "method"),
        ("Response", "the class Response"),
        ("Flask.made", "Flask"),
    ],
)
def test_wsgi(failed, folder, name, kind):
    folder("one_app.py", WSGI)
    assert str(failed(f"one_app:{name}", factory=name.endswith("made"))) == (
        f'app "one_app:{name}" ({kind}) takes two arguments, as WSGI apps do, and saltare serves ASGI apps: wrap it, as in '
        "a2wsgi.WSGIMiddleware(app) or asgiref.wsgi.WsgiToAsgi(app), or serve it by gunicorn -k gthread"
    )


def test_wsgi_of_django(failed, folder):
    pytest.importorskip("django")
    folder("one_app.py", "from django.core.handlers.wsgi import WSGIHandler\napp = WSGIHandler.__new__(WSGIHandler)\n")
    assert str(failed("one_app:app")).endswith("name the app in asgi.py, or serve it by gunicorn -k gthread")


@pytest.mark.parametrize(
    "text",
    [
        "def app(scope): ...",
        "class app:\n    def __init__(self, scope): ...\n    async def __call__(self, receive, send): ...",
    ],
    ids=["function", "class"],
)
def test_asgi_2(failed, folder, text):
    folder("one_app.py", text)
    said = str(failed("one_app:app"))
    assert "takes one argument, as ASGI 2 apps do, and saltare serves ASGI 3 apps" in said
    assert "asgiref.compatibility.guarantee_single_callable(app)" in said


@pytest.mark.parametrize(
    "text",
    [
        "def app(*arguments): ...",
        "def app(scope, receive, send, more=None): ...",
        "def app(first, *others): ...",
        "import functools\nasync def run(x, scope, receive, send): ...\napp = functools.partial(run, 1)",
        "class app:\n    def __init__(self, scope, receive, send): ...\n    def __await__(self): ...",
        "class app:\n    def __new__(cls, scope, receive, send): ...\n    def __init__(self, x): ...",
        "class App:\n    @staticmethod\n    async def __call__(scope, receive, send): ...\napp = App()",
        "class App:\n    @classmethod\n    async def __call__(cls, scope, receive, send): ...\napp = App()",
        "class App:\n    async def run(self, scope, receive, send): ...\napp = App().run",
        "class App:\n    __slots__ = ('__call__',)\napp = App()\nasync def run(scope, receive, send): ...\n"
        "app.__call__ = run",
        "import functools\ndef old(scope): ...\n@functools.wraps(old)\nasync def app(scope, receive, send): ...",
        "from unittest.mock import MagicMock\napp = MagicMock()",
    ],
)
def test_what_may_be_asgi_3(load, folder, text):
    folder("one_app.py", text)
    load("one_app:app")


def test_variable_arguments_are_no_factory(load, folder):
    folder("one_app.py", "async def app(*arguments): ...\n")
    assert load("one_app:app").__name__ == "app"


def test_factory_fails(failed, folder):
    folder("one_app.py", "def make():\n    raise OSError('no disk')\nasync def later(): ...\n")
    error = failed("one_app:make", factory=True)
    assert str(error) == 'calling the factory "one_app:make" failed: OSError: no disk'
    assert isinstance(error.__cause__, OSError)


def test_factory_that_is_a_coroutine(failed, folder):
    folder("one_app.py", "async def later(): ...\n")
    assert "type coroutine" in str(failed("one_app:later", factory=True))


def test_env_file(load, folder, tmp_path, monkeypatch):
    pytest.importorskip("dotenv")
    monkeypatch.setenv("FROM_OUTSIDE", "outside")
    monkeypatch.setenv("FROM_FILE", "")
    monkeypatch.delenv("FROM_FILE")
    folder(".env", "FROM_FILE=file\nFROM_OUTSIDE=file\nBARE\n")
    folder("one_app.py", f"import os\nseen = os.environ['FROM_FILE'], os.environ['FROM_OUTSIDE']\n{APP}")
    load("one_app:app", env_file=str(tmp_path / ".env"))
    assert sys.modules["one_app"].seen == ("file", "outside")


def test_env_file_cannot_hold_options(load, folder, tmp_path):
    pytest.importorskip("dotenv")
    folder(".env", "SALTARE_PORT=9000\n")
    with pytest.raises(ConfigError, match=r"SALTARE_PORT in .*options are read before the file is"):
        load("one_app:app", env_file=str(tmp_path / ".env"))


@pytest.mark.parametrize("thread", [False, True])
def test_modules_that_have_done_their_work_stay_while_other_threads_may_import_them(thread):
    program = (
        "import sys, threading, saltare.app.kind; from saltare.modules import unload; end = threading.Event();"
        f"other = threading.Thread(target=end.wait); {thread} and other.start(); unload('app.kind');"
        "print('saltare.app.kind' in sys.modules); end.set()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == f"{thread}\n"
