"""ssl is loaded at its first use, and then behaves as always."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness import HANG

FOLDER = Path(__file__).parent
PUT_OFF = "import sys\nfrom types import ModuleType\nfrom saltare.memory import lazy_ssl\nlazy_ssl.install()\n"
IMPORTED_FIRST = (
    "asyncio",
    "ssl",
    "http.client",
    "urllib.request",
    "anyio",
    "httpx",
    "aiohttp",
    "requests",
    "asyncpg",
    "redis.asyncio",
)


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_those_who_only_want_its_name_do_not_load_it():
    pytest.importorskip("anyio")
    modules = "asyncio, http.client, urllib.request, anyio, asyncio.sslproto, ssl"
    seen = "hasattr(ssl, '__path__'), ssl.__name__, ssl.__file__, isinstance(ssl, ModuleType), repr(ssl)"
    assert run(f"{PUT_OFF}import {modules}\n{seen}\nprint('_ssl' in sys.modules)") == "False"


@pytest.mark.parametrize(
    "use",
    [
        "import ssl; ssl.SSLContext",
        "from ssl import SSLContext",
        "from ssl import *; SSLContext",
        "import ssl; vars(ssl)['SSLContext']",
        "import ssl; assert 'SSLContext' in dir(ssl)",
        "import ssl; assert not hasattr(ssl, 'spam')",
        "import ssl; ssl.spam = 1; assert ssl.spam == 1",
        "import ssl; del ssl.CERT_NONE; assert not hasattr(ssl, 'CERT_NONE'); ssl.CERT_NONE = 0",
        "import ssl; import importlib; assert importlib.reload(ssl) is ssl; ssl.SSLContext",
        "import ssl; import importlib; ssl.SSLContext; assert importlib.reload(ssl) is ssl; assert type(ssl) is ModuleType",
        "from unittest import mock\nwith mock.patch('ssl.SSLContext') as fake:\n import ssl; assert ssl.SSLContext is fake",
        "from importlib.util import find_spec\nspec = find_spec('ssl'); assert spec.loader.get_code('ssl'); import ssl; ssl.CERT_NONE",
        "import ssl, importlib; old = sys.modules.pop('ssl'); import ssl as new; new.CERT_NONE; assert old.CERT_NONE == 0",
        "import ssl; del sys.modules['ssl']; assert ssl.CERT_NONE == 0",
        "import asyncio.sslproto; asyncio.sslproto.SSLProtocol; import ssl",
        "from asyncio import sslproto; sslproto.SSLProtocol; import ssl",
        "import asyncio; asyncio.base_events._check_ssl_socket(None); import ssl",
        "import os, ssl\npid = os.fork()\nif pid: assert os.waitpid(pid, 0)[1] == 0\nssl.SSLContext\nif not pid: os._exit(0)",
    ],
)
def test_whoever_looks_into_it_finds_all(use):
    check = (
        "print(type(ssl.create_default_context()).__name__, ssl.get_server_certificate.__name__, type(ssl).__name__)"
    )
    assert run(f"{PUT_OFF}{use}\nimport ssl\n{check}") == "SSLContext get_server_certificate module"


@pytest.mark.parametrize("first", IMPORTED_FIRST)
def test_every_client_speaks_tls(first):
    """For whatever module is imported first; the others follow in reverse order."""
    for name in (first, "httpx", "aiohttp"):
        pytest.importorskip(name)
    others = [
        name
        for name in reversed(IMPORTED_FIRST)
        if name != first and name in ("asyncio", "ssl", "anyio", "httpx", "aiohttp")
    ]
    command = [sys.executable, FOLDER / "tls_clients.py", first, *others]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * HANG)
    assert (done.returncode, done.stdout) == (0, "spoken\n"), done.stderr


def test_threads_that_ask_at_once_all_find_all():
    code = """
import asyncio, ssl, threading
sys.setswitchinterval(1e-6)
barrier = threading.Barrier(16)
found = []
def look(number):
    barrier.wait()
    if number % 2:
        found.append(ssl.get_server_certificate and ssl.SSLContext.sslsocket_class is ssl.SSLSocket)
    else:
        found.append(issubclass(asyncio.sslproto.SSLProtocol, asyncio.BaseProtocol))
threads = [threading.Thread(target=look, args=[number]) for number in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(found == [True] * 16)
"""
    for _ in range(5):
        assert run(PUT_OFF + code) == "True"


def test_a_load_that_fails_is_tried_again():
    code = """
import ssl
sys.modules["_ssl"] = None
for _ in range(2):
    try:
        ssl.SSLContext
    except ImportError as error:
        print(error.name)
del sys.modules["_ssl"]
print(ssl.SSLContext.__name__)
"""
    assert run(PUT_OFF + code).split() == ["_ssl", "_ssl", "SSLContext"]


def test_where_it_cannot_be_loaded_asyncio_does_without(cli_server, raw, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['_ssl'] = None\n")
    server = cli_server("later_apps:app", env={"PYTHONPATH": str(tmp_path)})
    assert raw(server).get("/connect").read_response().body == b"not there"


def test_go_begins_with_one_p_and_children_do_not(cli_server, raw, monkeypatch):
    monkeypatch.delenv("GOMAXPROCS", raising=False)
    server = cli_server("later_apps:app")
    assert raw(server).get("/environment").read_response().body == b"None where Go looks: 1"


def test_the_users_number_of_ps_stays(cli_server, raw):
    server = cli_server("later_apps:app", env={"GOMAXPROCS": "3"})
    assert raw(server).get("/environment").read_response().body == b"3 where Go looks: 3"


def test_an_app_that_is_served(cli_server, raw):
    pytest.importorskip("aiohttp")
    server = cli_server("later_apps:app")
    answers = [raw(server).get(path).read_response().body for path in ("/", "/speak", "/")]
    assert answers == [b"put off", b"spoken", b"loaded"]


def test_workers_share_it_loaded(cli_server, raw):
    pytest.importorskip("aiohttp")
    server = cli_server("later_apps:app", "--workers", 2)
    assert raw(server).get().read_response().body == b"loaded"
