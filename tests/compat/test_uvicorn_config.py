"""`saltare.Config`: uvicorn's names, with the values as they were given."""

import asyncio
import inspect
import os
import socket
import stat

import httpx
import pytest

import saltare
from saltare.errors import ConfigError


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


def factory():
    return app


def config(application=app, **options):
    return saltare.Config(application, **{"log_config": None, **options})


def test_its_signature_has_the_parameters():
    parameters = inspect.signature(saltare.Config).parameters
    assert list(parameters)[:3] == ["app", "host", "port"] and parameters["app"].default is inspect.Parameter.empty
    for name, default in saltare.config.DEFAULTS.items():
        assert (parameters[name].default, parameters[name].kind) == (default, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    assert parameters["header_timeout"].kind is inspect.Parameter.KEYWORD_ONLY
    assert parameters["given"].kind is inspect.Parameter.VAR_KEYWORD

    class Same(saltare.Config):
        pass

    class Own(saltare.Config):
        def __init__(self, name):
            super().__init__(app, log_config=None)

    assert list(inspect.signature(Same).parameters) == list(parameters)
    assert list(inspect.signature(Own).parameters) == ["name"]


def test_its_signature_is_that_of_uvicorn():
    uvicorn = pytest.importorskip("uvicorn")
    theirs = inspect.signature(uvicorn.Config).parameters
    ours = inspect.signature(saltare.Config).parameters
    assert list(theirs) == list(ours)[: len(theirs)]


def test_values_are_as_given():
    one = saltare.Config(app, "::1", 8001, log_config=None, workers=None, timeout_keep_alive=7)
    assert (one.app, one.host, one.port, one.workers, one.timeout_keep_alive) == (app, "::1", 8001, 1, 7)
    assert (one.backlog, one.lifespan, one.headers, one.log_level) == (2048, "auto", [], None)
    assert (one.is_ssl, one.should_reload, one.use_subprocess) == (False, False, False)


def test_what_was_not_given_has_our_default():
    options = config(port=0).options()
    assert options.sources["port"] == "keyword"
    assert options.sources["keep_alive_timeout"] == "default"


def test_all_options_of_ours_are_accepted():
    assert config(max_request_body=0, memory="safe").options().max_request_body == 0


@pytest.mark.parametrize(
    ("given", "reason"),
    [({"prot": 8000}, "did you mean port"), ({"port": "x"}, "port: got 'x'"), ({"lifespan": "maybe"}, "lifespan")],
)
def test_refused_when_it_is_made(given, reason):
    with pytest.raises(ConfigError, match=reason):
        config(**given)


def test_an_attribute_set_later_counts():
    one = config(port=8000)
    one.port = 0
    one.no_option = "kept"
    assert one.options().port == 0


def test_a_subclass_with_attributes_of_its_own():
    class Custom(saltare.Config):
        secret = None

    one = Custom("main:app", log_config=None)
    one.secret = "x"
    assert one.options().app == "main:app"


def test_workers_by_environment(monkeypatch):
    monkeypatch.setenv("WEB_CONCURRENCY", "3")
    assert config("main:app").workers == 3
    assert config("main:app", workers=2).workers == 2
    assert config("main:app").options(single=False).workers == 3
    assert config("main:app").options().workers == 1


def test_ways_to_listen_beside_each_other(tmp_path):
    one = config(host="127.0.0.1", port=0, fd=7)
    assert one.options().way() == "fd"
    assert one.port == 0


def test_fields():
    options = config(headers=[("X-One", "1"), ("Server", "mine"), ["x-two", "2"]], server_header=True).options()
    assert (options.header, options.server_header) == (("X-One: 1", "x-two: 2"), "mine")
    assert "saltare" in config(headers=None).options().server_header


def test_classes_of_uvicorns_protocols():
    theirs = type("H11Protocol", (), {"__module__": "uvicorn.protocols.http.h11_impl"})
    config(http=theirs, ws=theirs)
    with pytest.raises(ConfigError, match="http"):
        config(http=type("Own", (), {}))


@pytest.mark.parametrize(
    ("given", "warning"),
    [
        ({"reload_includes": ["*.yaml"], "workers": 2}, "reload is off"),
        ({"reload": True, "workers": 2}, '"workers" flag is ignored'),
    ],
)
def test_options_without_effect(given, warning, caplog):
    pytest.importorskip("watchfiles")
    one = config("main:app", **given)
    assert warning in caplog.text
    assert one.options(single=False).workers == (1 if "reload" in given else 2)


def test_an_environment_file(tmp_path, monkeypatch, caplog):
    """It is loaded when the Config is made, and its variables count."""
    pytest.importorskip("dotenv")
    for name in ("WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    (tmp_path / "env").write_text("WEB_CONCURRENCY=3\nFORWARDED_ALLOW_IPS=10.0.0.1\n")
    with caplog.at_level("INFO"):
        one = config("main:app", env_file=tmp_path / "env")
    assert (one.workers, one.forwarded_allow_ips) == (3, "10.0.0.1")
    assert "Loading environment from" in caplog.text


def test_load():
    one = config(f"{__name__}:app")
    assert not one.loaded
    one.load()
    assert one.loaded and one.loaded_app is app
    with pytest.raises(AssertionError):
        one.load()


@pytest.mark.parametrize("given", [{"factory": True}, {}])
def test_load_by_a_factory(given, caplog):
    one = config(factory, **given)
    one.load()
    assert one.loaded_app is app
    assert ("called as a factory" in caplog.text) is not bool(given)


@pytest.mark.parametrize("name", ["no_such:app", f"{__name__}:no_such"])
def test_load_that_fails(name, caplog):
    one = config(name)
    for load in (one.load, one.load_app):
        with pytest.raises(SystemExit) as ended:
            load()
        assert ended.value.code == saltare.config.STARTUP_FAILURE
    assert "no_such" in caplog.text


def test_an_app_that_a_program_has_wrapped():
    async def middleware(scope, receive, send):
        await app(scope, receive, send)

    one = config(port=0, lifespan="off")
    one.load()
    one.loaded_app = middleware
    assert one.options().app is middleware


def test_an_app_that_a_program_has_replaced():
    one = config("no_such:app")
    one.app = app
    one.load()
    assert one.loaded_app is app


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_bind_socket(host, family):
    with config(host=host, port=0).bind_socket() as sock:
        assert sock.family == family
        assert sock.getsockname()[0] == host
        assert sock.get_inheritable()
        assert not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


def test_bind_socket_of_a_descriptor():
    with socket.create_server(("127.0.0.1", 0)) as first:
        with config(fd=first.fileno()).bind_socket() as sock:
            assert sock.getsockname() == first.getsockname()
        assert first.fileno() >= 0


def test_bind_socket_to_a_path(tmp_path):
    one = config()
    one.uds = str(tmp_path / "s")
    with one.bind_socket():
        assert stat.S_IMODE(os.stat(one.uds).st_mode) == 0o666
    with one.bind_socket():  # the name that the first one left
        pass


def test_bind_socket_that_fails(free_port, caplog):
    with socket.create_server(("127.0.0.1", free_port)), pytest.raises(SystemExit) as ended:
        config(port=free_port).bind_socket()
    assert ended.value.code == saltare.config.STARTUP_FAILURE
    assert "in use" in caplog.text


@pytest.mark.parametrize("name", ["asyncio", "auto", "uvloop"])
def test_loop_factory(name):
    if name == "uvloop":
        pytest.importorskip("uvloop")
    loop = config(loop=name).get_loop_factory()()
    assert type(loop).__module__.startswith("uvloop" if name == "uvloop" else "asyncio")
    loop.close()


def test_a_loop_object():
    """Ray gives its own; serve() runs in the loop that runs."""

    async def main():
        server = saltare.Server(config(port=0, lifespan="off", loop=asyncio.get_running_loop()))
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.001)
        async with httpx.AsyncClient() as client:
            assert (await client.get(server.url)).text == "ok"
        server.should_exit = True
        await task

    asyncio.run(main())
