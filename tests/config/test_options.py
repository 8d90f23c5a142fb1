"""Options from four sources: which source wins, what is rejected, and the messages."""

import os
import sys

import pytest

from saltare.options.config import Config
from saltare.options.table import OPTIONS


@pytest.fixture
def project(tmp_path):
    def write(text, name="pyproject.toml"):
        (tmp_path / name).write_text(text)

    return write


def test_defaults(load):
    loaded = load()
    assert loaded.app == "main:app"
    assert (loaded.host, loaded.port, loaded.way()) == ("127.0.0.1", 8000, "tcp")
    assert (loaded.header_timeout, loaded.keep_alive_timeout) == (15, 75)
    assert loaded.body_timeout == loaded.write_timeout == loaded.shutdown_timeout == 30
    assert (loaded.max_concurrent_connections, loaded.max_keepalive_requests) == (0, 1000)
    assert (loaded.max_request_body, loaded.listen_backlog) == (0, 2048)
    assert (loaded.ws_max_size, loaded.uds_permissions) == (16 << 20, 0o666)
    assert (loaded.max_request_line, loaded.max_request_head, loaded.max_request_fields) == (16 << 10, 64 << 10, 256)
    assert {source for name, source in loaded.sources.items() if name != "app"} == {"default"}


def test_every_default_is_accepted_by_its_own_kind():
    for option in OPTIONS:
        if option.default is not None:
            assert option.kind.read(option.default) == option.default, option.name


def test_names_are_unique():
    names = [option.name for option in OPTIONS]
    assert len(names) == len(set(names))
    flags = [flag for option in OPTIONS for flag in (option.flag, option.off_flag) if flag]
    assert len(flags) == len(set(flags))


def test_order_of_sources(load, project):
    project('[tool.saltare]\nport = 1\nbody_timeout = 11\nlog_level = "debug"\nmax_request_body = "1KiB"\n')
    env = {"SALTARE_PORT": "2", "SALTARE_BODY_TIMEOUT": "12", "SALTARE_LOG_LEVEL": "ERROR", "OTHER": "x"}
    loaded = load({"port": 3, "body_timeout": "13s"}, env)
    assert (loaded.port, loaded.body_timeout, loaded.log_level, loaded.max_request_body) == (3, 13, "error", 1024)
    assert loaded.sources["port"] == "keyword"
    assert loaded.sources["log_level"] == "environment"
    assert loaded.sources["max_request_body"] == "file pyproject.toml"
    assert loaded.sources["host"] == "default"


def test_app_from_lower_sources(load, project):
    project('[tool.saltare]\napp = "a:b"\n')
    assert load(app=None).app == "a:b"
    assert load(app=None, env={"SALTARE_APP": "c:d"}).app == "c:d"
    assert load(app="e:f", env={"SALTARE_APP": "c:d"}).app == "e:f"


def test_chosen_file_replaces_pyproject(load, project):
    project("[tool.saltare]\nport = 1\nbody_timeout = 9\n")
    project("port = 5\nheader = ['a: b', 'c: d']\n", "saltare.toml")
    loaded = load({"config": "saltare.toml"})
    assert (loaded.port, loaded.body_timeout, loaded.header) == (5, 30, ("a: b", "c: d"))
    assert loaded.sources["port"] == "file saltare.toml"
    assert load(env={"SALTARE_CONFIG": "saltare.toml"}).port == 5


def test_chosen_file_may_be_a_pyproject(load, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "pyproject.toml").write_text("[tool.saltare]\nport = 7\n")
    assert load({"config": "other/pyproject.toml"}).port == 7


def test_pyproject_of_others_is_not_parsed(load, project):
    project("[tool.other\nthis is not TOML")
    assert load().port == 8000


def test_aliases(load):
    loaded = load({"backlog": 5, "timeout_keep_alive": 1, "timeout_graceful_shutdown": 2})
    assert (loaded.listen_backlog, loaded.keep_alive_timeout, loaded.shutdown_timeout) == (5, 1, 2)
    assert load(env={"SALTARE_BACKLOG": "6"}).listen_backlog == 6
    assert load({"h11_max_incomplete_event_size": "1MiB"}).max_request_head == 1 << 20
    assert load({"backlog": 5, "listen_backlog": 5}).listen_backlog == 5


def test_lists(load):
    env = {"SALTARE_BIND": "127.0.0.1:1, unix:/x", "SALTARE_HEADER": "a: b, c\nd: e"}
    loaded = load(env=env)
    assert loaded.bind == ("127.0.0.1:1", "unix:/x")
    assert loaded.header == ("a: b, c", "d: e")
    assert load({"header": [("a", "b"), "c: d"]}).header == ("a: b", "c: d")


def test_nothing_takes_back_what_a_lower_source_set(load, project):
    project('[tool.saltare]\nuds_path = "/x"\n')
    assert load().way() == "uds_path"
    assert load(env={"SALTARE_UDS_PATH": ""}).way() == "tcp"
    assert load({"uds_path": ""}).way() == "tcp"


def test_a_keyword_that_is_none_is_not_given(load, project):
    project('[tool.saltare]\nuds_path = "/x"\nworkers = 3\n')
    loaded = load({one.name: None for one in OPTIONS if one.name != "app"})
    assert (loaded.way(), loaded.workers) == ("uds_path", 3)


# One way to listen


@pytest.mark.parametrize(
    ("env", "given", "way"),
    [
        ({"SALTARE_PORT": "9000"}, {"uds_path": "/x"}, "uds_path"),
        ({"SALTARE_UDS_PATH": "/x"}, {"port": 9000}, "tcp"),
        ({"SALTARE_BIND": "a:1"}, {"fd": 3}, "fd"),
        ({"SALTARE_FD": "3"}, {"bind": ["a:1"]}, "bind"),
        ({"SALTARE_HOST": "::1"}, {"port": 9000}, "tcp"),
        ({"SALTARE_UDS_PATH": "/x", "SALTARE_UDS_PERMISSIONS": "600"}, {"port": 9000}, "tcp"),
    ],
)
def test_a_way_to_listen_sets_aside_the_others_of_lower_sources(load, env, given, way):
    loaded = load(given, env)
    assert loaded.way() == way
    for name in env:
        option = name.removeprefix("SALTARE_").lower()
        aside = "is set aside by" in loaded.sources[option]
        assert aside == (option != "host")
    if way == "tcp":
        assert (loaded.uds_path, loaded.uds_permissions) == (None, 0o666)


def test_host_and_port_may_come_from_different_sources(load):
    loaded = load({"port": 9}, {"SALTARE_HOST": "::1"})
    assert (loaded.host, loaded.port) == ("::1", 9)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"port": 1, "uds_path": "/x"}, ("port", "uds_path")),
        ({"host": "a", "fd": 3}, ("host", "fd")),
        ({"fd": 3, "bind": ["a:1"]}, ("fd", "bind")),
        ({"uds_path": "/x", "bind": ["a:1"]}, ("uds_path", "bind")),
        ({"port": 1, "uds_permissions": "600"}, ("uds_permissions", "port")),
        ({"bind": ["a:1"], "uds_permissions": "600"}, ("uds_permissions", "bind")),
        ({"backlog": 5, "listen_backlog": 6}, ("backlog", "listen_backlog")),
        (
            {"max_connections_per_ip": 9, "forwarded_allow_ips": "*"},
            ("max_connections_per_ip", "forwarded_allow_ips", "nothing to limit"),
        ),
    ],
)
def test_contradictions(refused, given, names):
    line = refused(given)
    assert "contradict" in line
    assert all(name in line for name in names)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rate_limit_burst": 5}, "rate_limit_burst: got 5, but there is no rate_limit_per_sec for it"),
        ({"rate_limit_per_sec": 0.5}, "rate_limit_per_sec: got 0.5; accepted: a whole number from 0 to 1048576"),
        ({"rate_limit_per_sec": 5, "rate_limit_burst": 0}, "rate_limit_burst: got 0; accepted: a whole number from 1"),
        ({"tcp_keepidle": 40000}, "tcp_keepidle: got 40000; accepted: a whole number from 0 to 32767"),
        ({"tcp_keepintvl": "1m"}, "tcp_keepintvl: got '1m'; accepted: a whole number from 0 to 32767"),
        ({"tcp_keepcnt": 128}, "tcp_keepcnt: got 128; accepted: a whole number from 0 to 127"),
        ({"tcp_user_timeout_ms": 1 << 31}, "tcp_user_timeout_ms: got 2147483648; accepted: a whole number"),
        ({"tcp_fastopen_qlen": -1}, "tcp_fastopen_qlen: got -1; accepted: a whole number from 0 to 65535"),
        ({"tcp_keepidle": 5, "uds_path": "/x"}, "tcp_keepidle: got 5, but there is only a Unix socket"),
        ({"tcp_keepcnt": 5, "bind": ["unix:/x"]}, "tcp_keepcnt: got 5, but there is only a Unix socket"),
        ({"request_timeout": -1}, "request_timeout: got -1; accepted: seconds from 0.001 to 86400"),
        (
            {"request_timeout_path": "/a"},
            "request_timeout_path: got '/a' (there is no = in it); accepted: \"PREFIX=VALUE",
        ),
        ({"request_timeout_path": "a=1"}, "request_timeout_path: got 'a=1' (a prefix starts with"),
        ({"request_timeout_path": "/%61=1"}, "request_timeout_path: got '/%61=1' (a prefix is written without escapes"),
        ({"request_timeout_path": "/a=soon"}, "request_timeout_path: got '/a=soon'; accepted: \"PREFIX=VALUE"),
        (
            {"max_request_body_path": ["/a=1", "/a=2"]},
            "max_request_body_path: got ['/a=1', '/a=2'] (/a has two values)",
        ),
        ({"max_request_body_path": {"/a": "many"}}, "max_request_body_path: got {'/a': 'many'}; accepted:"),
        (
            {"max_request_body_path": {f"/{i}": 1 for i in range(257)}},
            "max_request_body_path: got {'/0': 1",
        ),
        ({"limit_concurrency": -1}, "limit_concurrency: got -1; accepted: a whole number from 0 to 1048576"),
        ({"max_connections_per_ip": "many"}, "max_connections_per_ip: got 'many'; accepted: a whole number"),
        (
            {"max_connection_lifetime": "1y"},
            "max_connection_lifetime: got '1y'; accepted: seconds from 0.001 to 2592000",
        ),
    ],
)
def test_limits_refused(refused, given, message):
    assert refused(given).startswith(message)


def test_limits_of_routes(load, project):
    """As text, a list, a dict and a table of TOML."""
    wanted = ("/a=60.0", "/b,c/=0.5")
    for given in (["/a=1m", "/b,c/=500ms"], {"/a": 60, "/b,c/": "500ms"}, [("/a", 60), ("/b,c/", 0.5)]):
        assert load(given={"request_timeout_path": given}).request_timeout_path == wanted
    assert load(given={"max_request_body_path": "/a=1KiB, /b=2"}).max_request_body_path == ("/a=1024", "/b=2")
    project('[tool.saltare]\nrequest_timeout_path = {"/a" = 60, "/b,c/" = "500ms"}')
    assert load().request_timeout_path == wanted


def test_permissions_without_a_unix_socket(refused, load):
    assert (
        refused({"uds_permissions": "600"})
        == "uds_permissions: got 600, but there is no Unix socket; accepted with uds_path"
    )
    assert load({"uds_permissions": "600", "bind": ["a:1", "unix:/x"]}).uds_permissions == 0o600


# Rejections: the option as its source spells it, the value given, the values accepted


def test_keyword_refused(refused):
    line = refused({"port": 99999})
    assert line == "port: got 99999; accepted: a whole number from 0 to 65535"


def test_flag_refused(refused):
    flags = {"source": "command line"}
    assert refused({"uds_permissions": "999"}, **flags).startswith("--uds-permissions: got '999'; accepted: octal")
    assert refused({"uds_path": "/\0"}, **flags).startswith("--uds: got '/\\x00'; accepted: a path")


def test_environment_refused(refused):
    line = refused(env={"SALTARE_BODY_TIMEOUT": "soon"})
    assert line.startswith("SALTARE_BODY_TIMEOUT: got 'soon'; accepted: seconds from 0.001 to 86400")
    assert "0 for off" in line


def test_empty_environment_is_not_a_number(refused):
    assert refused(env={"SALTARE_PORT": ""}).startswith("SALTARE_PORT: got ''; accepted: a whole number")


def test_file_value_refused(refused, project):
    project("[tool.saltare]\nport = '80x'\n")
    assert refused().startswith("port in pyproject.toml: got '80x'; accepted: a whole number")


def test_reason_is_told(refused):
    assert "is the server's own, see --server-header" in refused({"header": ["Server: x"]})
    assert "a port goes into --port" in refused({"host": "127.0.0.1:80"})
    assert "there is no colon in it" in refused(app="main")


def test_long_values_are_cut(refused):
    line = refused({"port": "1" * 5000})
    assert len(line) < 400


@pytest.mark.parametrize(
    ("given", "env", "hint"),
    [
        ({"prot": 80}, {}, "prot: unknown option, got 80; did you mean port?"),
        ({"uds_pat": "/x"}, {}, "uds_pat: unknown option, got '/x'; did you mean uds_path?"),
        ({}, {"SALTARE_HOTS": "x"}, "SALTARE_HOTS: unknown option, got 'x'; did you mean SALTARE_HOST?"),
        ({}, {"SALTARE_SERVICE": "x"}, "SALTARE_SERVICE: unknown option, got 'x'"),
        ({"zzzzz": 1}, {}, "zzzzz: unknown option, got 1; see saltare --help"),
    ],
)
def test_unknown_names(refused, given, env, hint):
    assert hint in refused(given, env)


def test_unknown_name_in_file(refused, project):
    project("[tool.saltare]\nprot = 80\n")
    assert refused() == "prot in pyproject.toml: unknown option, got 80; did you mean port in pyproject.toml?"


def test_unknown_table_in_file(refused, project):
    project("[tool.saltare.limits]\nport = 80\n")
    assert refused().startswith("limits in pyproject.toml: unknown option")


def test_unprintable_name_in_file(refused, project):
    project('"a\\nb" = 1\n', "a.toml")
    assert refused({"config": "a.toml"}).startswith("'a\\nb in a.toml': unknown option, got 1")


def test_list_of_tables_in_file(refused, project):
    project("[[tool.saltare]]\nport = 80\n")
    assert refused() == "pyproject.toml: [tool.saltare] is not a table of options"


def test_file_problems(refused, project, tmp_path):
    project("port = = 1\n", "bad.toml")
    project("port = 1\n", "good.toml")
    project("config = 'good.toml'\n", "nested.toml")
    (tmp_path / "bytes.toml").write_bytes(b"app = '\xff'")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "pyproject.toml").write_text("[project]\n")
    assert refused({"config": "none.toml"}) == "none.toml: cannot read it: No such file or directory"
    assert refused({"config": "bad.toml"}).startswith("bad.toml: not valid TOML: ")
    assert refused({"config": "bytes.toml"}).startswith("bytes.toml: not valid TOML: ")
    assert refused({"config": "nested.toml"}).startswith("config in nested.toml: got 'good.toml'; a file cannot")
    assert refused({"config": "sub"}).startswith("sub: cannot read it")
    assert "no [tool.saltare] in it" in refused({"config": "sub/pyproject.toml"})


def test_paths_must_exist(refused, tmp_path):
    (tmp_path / "here.json").write_text("{}")
    assert refused({"app_dir": "none"}) == f"app_dir: got 'none', which is not a folder that exists in {tmp_path}"
    assert refused({"app_dir": "here.json"}).endswith(f"is not a folder that exists in {tmp_path}")
    assert refused({"env_file": ".env"}).endswith(f"is not a file that exists in {tmp_path}")
    assert refused({"log_config": "none.json"}).endswith(f"is not a file that exists in {tmp_path}")


def test_context_is_of_compressed_messages(refused):
    expected = "ws_deflate_context: got True, but messages are not compressed; write ws_per_message_deflate as well"
    assert refused({"ws_deflate_context": True}) == expected


def test_extras_must_be_installed(refused, tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("")
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "meta_path", [])
    for module in ("dotenv", "uvloop"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    assert refused({"env_file": ".env"}) == "env_file: got '.env', which needs pip install \"saltare[dotenv]\""
    assert refused({"loop": "uvloop"}) == "loop: got 'uvloop', which needs pip install \"saltare[uvloop]\""


def test_toml_parser_missing(refused, project, monkeypatch):
    project("port = 1\n", "a.toml")
    monkeypatch.setitem(sys.modules, "tomllib", None)
    monkeypatch.setitem(sys.modules, "tomli", None)
    assert refused({"config": "a.toml"}) == "a.toml: reading TOML on Python 3.10 needs tomli: pip install tomli"


def test_no_app(refused, load):
    assert refused(app=None) == (
        'app: none given; accepted: "module:attribute", such as main:app, or a path, such as main.py'
    )
    assert load(app=None, app_needed=False).app is None


def test_not_an_app(refused):
    assert refused(app=42).startswith("app: got 42; accepted: module:attribute")


def test_load_does_not_touch_the_environment(load):
    before = dict(os.environ)
    load(env={"SALTARE_PORT": "1"})
    assert dict(os.environ) == before


def test_config_shows_what_was_given(load):
    assert repr(load({"port": 1})) == "Config(app='main:app', port=1)"


def test_values_make_the_same_config_again(load):
    first = load({"port": 1, "header": ["a: b"]})
    again = Config(first.values(), first.sources)
    assert again.values() == first.values()
