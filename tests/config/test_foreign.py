"""Names of other servers: each row of options/foreign.py, what it turns values into, and what it refuses."""

import subprocess
import sys

import pytest

import saltare
from saltare.errors import ConfigError
from saltare.options import foreign, meanings
from saltare.options.config import AT_ONCE
from saltare.options.table import BY_NAME, OPTIONS


def given(config):
    """Options that are not at their defaults, but for the app."""
    return {one.name: getattr(config, one.name) for one in OPTIONS if getattr(config, one.name) != one.default} | {
        "app": config.app
    }


# ---- the table ----


def test_a_name_has_one_meaning():
    names = [name for row in foreign.ROWS for name in row.names]
    assert len(names) == len(set(names))
    assert not {*names} & BY_NAME.keys()


def test_a_row_names_options_that_exist():
    for row in foreign.ROWS:
        if foreign.is_spelling(row):
            assert row.meaning.name in BY_NAME or callable(row.meaning.read), row


def test_what_is_shared_exists():
    flags = {option.flag[2:].replace("-", "_") for option in OPTIONS} | {"print_config"}
    for names in foreign.SHARED.values():
        assert set(names.split()) <= BY_NAME.keys() | flags


def test_each_reason_is_a_sentence_for_the_reader():
    for row in foreign.ROWS:
        text = row.meaning.advice()
        assert text.isprintable() and not text.endswith((".", ";", " ")), row
        assert row.programs and set(row.programs) <= foreign.PROGRAMS.keys()


def test_limits_are_those_of_our_options():
    assert meanings.MOST_HEAD == BY_NAME["max_request_head"].kind.high
    assert meanings.DEFAULT_HEAD == BY_NAME["max_request_head"].default
    line, fields = BY_NAME["max_request_line"].kind, BY_NAME["max_request_fields"].kind
    assert (meanings.LEAST_LINE, meanings.MOST_LINE) == (line.low, line.high)
    assert (meanings.LEAST_FIELDS, meanings.MOST_FIELDS) == (fields.low, fields.high)
    for name in ("keep_alive_timeout", "shutdown_timeout"):
        assert BY_NAME[name].kind.high == meanings.DAY


@pytest.mark.parametrize("row", foreign.ROWS, ids=lambda row: row.names[0])
def test_a_keyword_that_is_none_or_asks_for_nothing_is_not_refused(row, load):
    for name in row.names:
        if not name.startswith("-") and name not in ("timeout_graceful_shutdown", "graceful_timeout"):
            assert given(load({name: None})).keys() <= {"app", "ws_keepalive_timeout"}
    if isinstance(row.meaning, foreign.Refusal):
        for nothing in (None, False, "", "false", 0, [], {}):
            assert row.turn(nothing) == {}


def test_our_own_names_do_not_load_the_table():
    code = (
        "import sys; from saltare.options import sources; from saltare.launch.arguments import Line; "
        "line = Line(['main:app', '--port', '80', '--no-date-header']); "
        "sources.load(None, line.given, environ={}, source=sources.COMMAND_LINE); "
        "sources.load('main:app', {'workers': 2}, environ={}); "
        "print('saltare.options.foreign' in sys.modules, 'saltare.options.meanings' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False False"


def test_the_table_does_not_stay_in_memory():
    code = (
        "import gc, sys; from saltare.options import sources; "
        "sources.load('main:app', {'access_log': False, 'timeout_keep_alive': 5}, environ={}); gc.collect(); "
        "print([name for name in sys.modules if name.endswith(('.foreign', '.meanings'))], "
        "[one for one in gc.get_objects() if type(one).__name__ in ('Row', 'Spelling')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[] []"


# ---- lines of other servers ----

LINES = {
    "app:app --host 0.0.0.0 --port 80 --workers 4": {"host": "0.0.0.0", "port": 80, "workers": 4},
    "app:app --timeout-keep-alive 5": {"keep_alive_timeout": 5},
    "app:app --certfile a.pem --keyfile b.pem --ca-certs c.pem --cert-reqs 2 --ciphers ECDHE-RSA-AES128-GCM-SHA256": {
        "ssl_certfile": ("a.pem",),
        "ssl_keyfile": ("b.pem",),
        "ssl_ca_file": "c.pem",
        "ssl_verify_client": True,
        "ssl_ciphers": "ECDHE-RSA-AES128-GCM-SHA256",
    },
    "app:app --ssl-certificate a.pem --ssl-keyfile b.pem --ssl-ca c.pem --ssl-client-verify --ssl-protocol-min tls1.3": {
        "ssl_certfile": ("a.pem",),
        "ssl_keyfile": ("b.pem",),
        "ssl_ca_file": "c.pem",
        "ssl_verify_client": True,
        "ssl_min_version": "1.3",
    },
    "app:app --ssl-certfile a --ssl-keyfile b --ssl-certfile c --ssl-keyfile d --ssl-version 17 --ssl-cert-reqs 0": {
        "ssl_certfile": ("a", "c"),
        "ssl_keyfile": ("b", "d"),
    },
    "app:app --certfile a --keyfile-password x --verify-mode CERT_OPTIONAL --ssl-ciphers TLSv1 --ktls": {
        "ssl_certfile": ("a",),
        "ssl_keyfile_password": "x",
    },
    "app:app --timeout-keep-alive 0": {"max_keepalive_requests": 1},
    "app:app --timeout-graceful-shutdown 0": {"shutdown_timeout": AT_ONCE},
    "app:app --timeout-graceful-shutdown 10": {"shutdown_timeout": 10},
    "app:app --keep-alive 0": {"max_keepalive_requests": 1},
    "app:app --graceful-timeout 0": {"shutdown_timeout": AT_ONCE},
    "app:app --ws-per-message-deflate true": {"ws_per_message_deflate": True},
    "app:app --ws-per-message-deflate=true": {"ws_per_message_deflate": True},
    "app:app --ws-per-message-deflate false": {},
    "--server-header app:app": {},
    "app:app --server-header --no-date-header": {"date_header": False},
    "app:app --server-header us": {"server_header": "us"},
    "--http auto --ws websockets --interface asgi3 app:app": {},
    "--interface asginl app:app": {"lifespan": "off"},
    "app:app --ws": {},
    "--ws app:app": {},
    "app:app --loop none --log-level trace": {"log_level": "debug"},
    "app:app --log-level warn": {"log_level": "warning"},
    "app:app --backlog 100 --uds /x": {"listen_backlog": 100, "uds_path": "/x"},
    "app:app --h11-max-incomplete-event-size 4194304": {"max_request_head": 1 << 20},
    "app:app --ws-ping-interval 30 --ws-ping-timeout 60": {"ws_keepalive_timeout": 60},
    "app:app --no-access-log --no-proxy-headers --no-use-colors": {"proxy_headers": False},
    "app:app --proxy-headers --forwarded-allow-ips '*'": {"forwarded_allow_ips": ("*",)},
    "app:app --forwarded-allow-ips 10.0.0.1,::1": {"forwarded_allow_ips": ("10.0.0.1", "::1")},
    "app:app --proxy-protocol": {"proxy_protocol": "on"},
    "--proxy-protocol app:app": {"proxy_protocol": "on"},
    "app:app --proxy-protocol auto": {"proxy_protocol": "on"},
    "app:app --proxy-protocol v2 --proxy-allow-from 10.0.0.0/8": {
        "proxy_protocol": "v2",
        "proxy_protocol_from": ("10.0.0.0/8",),
    },
    "app:app --proxy-protocol off": {},
    "app:app --access-log --use-colors": {"access_log": True},
    "app:app --access-logfile - --access-logformat '%(h)s {%%} %({X-Id}i)s'": {
        "access_log": True,
        "access_log_path": "stdout",
        "access_log_format": "{client} {{%}} {header:x-id}",
    },
    "app:app --access-logfile /x --no-access-log": {"access_log_path": "/x"},
    "app:app --access-log -": {"access_log": True, "access_log_path": "stdout"},  # hypercorn's, deprecated there
    "app:app --access-log /x": {"access_log": True, "access_log_path": "/x"},
    "app:app --access-log off": {},
    "--access-log app:app": {"access_log": True},
    "app:app --access-log --access-log-fmt '[%(time)s] %(addr)s \"%(method)s %(path)s\" %(status)d %(dt_ms).3f'": {
        "access_log": True,
        "access_log_format": '[{time}] {client} "{method} {path_only}" {status} {duration_ms}',
    },
    "app:app --reload-delay 1 --reload --reload-include '*.yaml'": {"reload": True, "reload_include": ("*.yaml",)},
    "app:app --header a:b --header c:d": {"header": ("a: b", "c: d")},
    "app:app --reload --reload-ignore-dirs sub --reload-ignore-paths src/gen": {
        "reload": True,
        "reload_exclude": ("sub", "src/gen"),
    },
    "app:app --bind 127.0.0.1:8123,127.0.0.1:8124 --bind :1": {"bind": ("127.0.0.1:8123", "127.0.0.1:8124", ":1")},
    "app:app -b :1,:2 -b :3": {"bind": (":1", ":2", ":3")},
    "app:app --reload --reload-include '*.yaml, *.toml,'": {"reload": True, "reload_include": ("*.yaml", "*.toml")},
    "app:app --reload --reload-dir /,/tmp": {"reload": True, "reload_dir": ("/", "/tmp")},
    "app:app --header 'a: b, c'": {"header": ("a: b, c",)},
    "-w 4 -k uvicorn.workers.UvicornWorker -b 0.0.0.0:80 app:app": {"workers": 4, "bind": ("0.0.0.0:80",)},
    "-w4 -b :8000 -b unix:/run/x app:app": {"workers": 4, "bind": (":8000", "unix:/run/x")},
    "app:make()": {"factory": True},
    "app:app --timeout 120 --threads 4 --worker-tmp-dir /dev/shm --capture-output --error-logfile -": {},
    "app:app --max-requests 1000 --max-requests-jitter 50": {
        "limit_max_requests": 1000,
        "limit_max_requests_jitter": 50,
    },
    "app:app --limit-request-line 0 --limit-request-fields 4 --limit-request-field_size 0": {
        "max_request_line": 64 << 10,
        "max_request_fields": 8,
        "max_request_head": 1 << 20,
    },
    "app:app --limit-request-field_size 8190": {},
    "app:app --limit-request-fields 0": {"max_request_fields": 4096},
    "app:app --ws-ping-interval 0 --ws-ping-timeout 20": {"ws_keepalive_timeout": 0},
    "app:app --ws-ping-timeout 20 --ws-ping-interval 0": {"ws_keepalive_timeout": 0},
    "app:app --ws-ping-interval 30 --ws-ping-timeout 0": {"ws_keepalive_timeout": 30},
    "app:app --preload --reuse-port": {"preload": True, "reuse_port": True},
    "app:app -p 81": {"port": 81},
    "app:app -p /run/pid": {"pid": "/run/pid"},
    "app:app -u root -g 5 -m 022 --initgroups": {"user": "root", "group": "5", "umask": 0o22},
    "app:app --pid-file /run/pid --umask 0o27": {"pid": "/run/pid", "umask": 0o27},
    "app:app --workers-lifetime 1h --workers-max-rss 300 --url-path-prefix api": {
        "limit_worker_lifetime": 3600,
        "limit_max_rss": 300,
        "root_path": "/api",
    },
    "app:app --http1-header-read-timeout 5000 --no-http1-keep-alive": {
        "header_timeout": 5,
        "max_keepalive_requests": 1,
    },
    "app:app --no-respawn-failed-workers": {"worker_failure": "exit"},
    "app:app --respawn-failed-workers --no-log": {"log_level": "critical"},
    "app:app --blocking-threads 1 --runtime-threads 2 --runtime-mode st --task-impl asyncio": {},
    "app:app -k uvloop --websocket-ping-interval 5": {"ws_keepalive_timeout": 5},
    "app:app --debug": {"log_level": "debug"},
    "app:app --max-request-uri 100 --ws-compression-server-takeover": {
        "max_request_line": 256,
        "ws_per_message_deflate": True,
        "ws_deflate_context": True,
    },
}


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_taken(typed, line):
    config = typed(line)
    assert given(config) == {"app": config.app, **LINES[line]}


REFUSED = {
    "app:app --http 2": "--http: got '2'; saltare has one parser, for HTTP/1.1; accepted: auto, h11, httptools and 1",
    "app:app --no-ws": "--no-ws: saltare always passes websockets on to the app",
    "app:app --interface wsgi": "--interface: got 'wsgi'; saltare runs ASGI apps; wrap a WSGI app: a2wsgi.WSGIMiddleware(app)",
    "app:app --proxy-protocol=v3": "--proxy-protocol: got 'v3'; accepted: true or false, or v1 or v2 for one version",
    "app:app --proxy-headers=maybe": "--proxy-headers: got 'maybe'; accepted: true or false",
    "app:app --access-log-format '{clint}'": "--access-log-format: got '{clint}' (there is no field 'clint'; the "
    "fields are client, client_addr, method,",
    "app:app --access-logformat '%({Server}o)s'": "--access-logformat: got '%({Server}o)s' (there is no %({Server}o)s "
    "in this access log: leave it out",
    "app:app --access-logformat '%(T)s'": "--access-logformat: got '%(T)s' (there is no %(T)s in this access log: "
    "write %(L)s, seconds with a fraction)",
    "app:app --access-log-exclude health": "--access-log-exclude: got ['health']; accepted: a path that starts with",
    "app:app --ssl-keyfile a.pem": "--ssl-keyfile: given without a certificate; name its file with ssl_certfile",
    "app:app --ssl-certfile a.pem --ssl-crl b": "--ssl-crl: got 'b'; saltare reads no lists of revoked certificates",
    "app:app --certfile a.pem --ssl-protocol-min tls1.1": "--ssl-protocol-min: got 'tls1.1'; accepted: tls1.2 and tls1.3",
    "app:app --backpressure 100": "--backpressure: got '100'; write --limit-concurrency, which answers 503",
    "app:app -D": "-D: saltare stays in the foreground; let the supervisor do this",
    "app:app -k gevent": "-k: got 'gevent'; workers of that kind run WSGI apps. saltare runs ASGI apps: leave it out",
    "app:app --user no-such-user": "--user: got 'no-such-user', but this machine has no such user; create it, or write",
    "app:app --group=-1": "--group: got '-1'; accepted: the name or the number of a group",
    "app:app --user 123456": "--user: got '123456', which has no entry in the list of users; write --group as well",
    "app:app --umask 22": "--umask: got '22'; accepted: an octal mask from 0 to 0777 that begins with 0, such as 022",
    "app:app -m 0999": "-m: got '0999'; accepted: an octal mask",
    "app:app --pid": "--pid: a value is missing; accepted: a path",
    "app:app -k": "-k: a value is missing; leave it out; saltare is the worker",
    "app:app --statsd-host": "--statsd-host: saltare sends no metrics in this version; leave it out",
    "app:app --reload-delay": "--reload-delay: leave it out: changes within 50 ms are one, and a restart",
    "app:app --http": "--http: leave it out: saltare has one parser, for HTTP/1.1",
    "app:app --max-requests": "--max-requests: a value is missing; accepted: a whole number",
    "app:app --use-color": "--use-color: unknown option; did you mean --use-colors?",
    "app:app --proxy-header": "--proxy-header: unknown option; did you mean --proxy-headers?",
    "app:app --worker-clas x": "--worker-clas: unknown option, got 'x'; did you mean --worker-class?",
    "app:app --acess-log": "--acess-log: unknown option; did you mean --access-log?",
    "app:app --ssl-cert-file x": "--ssl-cert-file: unknown option, got 'x'; did you mean --ssl-certfile?",
    "app:app --uds u --host h --port 1 --fd 3": "--host, --port, --uds and --fd contradict each other: got 'h', 1, 'u'",
    "app:app --host http://x": "--host: got 'http://x' (a name or an address, without http://); accepted: a name",
    "app:app --bind https://x:1": "--bind: got ['https://x:1'] (a name or an address, without https://)",
    "app:app --graceful-timeout soon": "--graceful-timeout: got 'soon'; accepted: seconds from 0.001 to 86400, a time "
    'such as "500ms" or "1m30s", or 0 for a cancel at once',
    "app:app --keep-alive 90000": "--keep-alive: got '90000'; accepted: seconds from 0.001 to 86400, a time such as "
    '"500ms" or "1m30s", or 0 for a close after each response',
    "app:app --graceful-timeout 0 --shutdown-timeout 5": "--graceful-timeout and --shutdown-timeout contradict each "
    "other: got '0' and '5';",
    "app:app --error-logfile x.log": "--error-logfile: got 'x.log'; saltare logs to stderr; write 2>> FILE",
    "app:app --keep-alive soon": "--keep-alive: got 'soon'; accepted: seconds",
    "app:app --max-requests many": "--max-requests: got 'many'; accepted: a whole number",
    "app:app --max-requests 5 --limit-max-requests 6": "--max-requests and --limit-max-requests contradict each other",
    "app:app --blocking-threads 4": "--blocking-threads: got '4'; an ASGI app has one thread per worker; accepted: 1",
    "app:app --quic-bind :443": "--quic-bind: got ':443'; saltare has no HTTP/3; let a proxy speak it",
    "'app:make(5)'": "app: got 'app:make(5)' (a factory is called without arguments; write module:factory())",
    "app:app -c conf.py": "-c: got 'conf.py', which is another server's own file, in Python",
}


@pytest.mark.parametrize("line", REFUSED)
def test_a_line_is_refused_with_what_to_write(problems, line):
    (problem,) = problems(line)
    assert problem.startswith(REFUSED[line])


def test_every_problem_of_a_line_is_named(problems):
    line = "app:app --prot 80 --workers x --daemon --ssl-crl a --proxy-headers=x --port c:d --reload --uds"
    lines = problems(line, SALTARE_BODY_TIMEOUT="soon", SALTARE_HOTS="x", UVICORN_WS_MAX_SIZE="big")
    labels = [one.partition(":")[0] for one in lines]
    expected = ["--prot", "--uds", "--workers", "--daemon", "--ssl-crl", "--proxy-headers", "--port"]
    assert sorted(labels) == sorted([*expected, "SALTARE_BODY_TIMEOUT", "SALTARE_HOTS", "UVICORN_WS_MAX_SIZE"])
    text = str(ConfigError(*lines))
    assert text.startswith("10 options are not accepted:\n  --")
    assert len(text.splitlines()) == 11


def test_a_broken_option_brings_no_second_complaint(problems):
    assert len(problems("app:app --limit-max-requests x --limit-max-requests-jitter 5")) == 1
    assert len(problems("app:app --ws-per-message-deflate=maybe --ws-deflate-context")) == 1


# ---- keywords ----


def test_keywords_of_uvicorn(load, tmp_path):
    config = load(
        {
            "host": "0.0.0.0",
            "log_level": 20,
            "access_log": False,
            "proxy_headers": False,
            "forwarded_allow_ips": None,
            "ssl_keyfile": None,
            "ssl_certfile": None,
            "ssl_version": 17,
            "ssl_cert_reqs": 0,
            "ssl_ciphers": "TLSv1",
            "workers": None,
            "reload": False,
            "reload_dirs": [str(tmp_path)],
            "headers": [("a", "b")],
            "uds": None,
            "loop": "none",
            "http": "httptools",
            "ws": "auto",
            "ws_max_queue": 32,
            "log_config": None,
            "use_colors": None,
            "timeout_keep_alive": 0,
            "timeout_graceful_shutdown": None,
            "ws_ping_interval": None,
            "ws_ping_timeout": None,
            "interface": "asgi3",
            "limit_concurrency": None,
        }
    )
    assert given(config) == {
        "app": "main:app",
        "host": "0.0.0.0",
        "header": ("a: b",),
        "reload_dir": (str(tmp_path),),
        "max_keepalive_requests": 1,
        "shutdown_timeout": 0,
        "ws_keepalive_timeout": 0,
        "proxy_headers": False,
    }
    assert config.sources["max_keepalive_requests"] == "keyword, as timeout_keep_alive"
    assert any(
        note.startswith("timeout_keep_alive 0 of uvicorn is taken as max_keepalive_requests") for note in config.notes
    )


def test_no_ping_interval_means_no_pings(load):
    for interval in (None, 0):
        assert load({"ws_ping_interval": interval, "ws_ping_timeout": 20}).ws_keepalive_timeout == 0
        config = saltare.Config("main:app", ws_ping_interval=interval, ws_ping_timeout=20, log_config=None)
        assert config.options().ws_keepalive_timeout == 0


def test_our_own_zero_means_off(load):
    assert load({"keep_alive_timeout": 0, "shutdown_timeout": 0}).keep_alive_timeout == 0


def test_keywords_refused(load):
    with pytest.raises(ConfigError) as caught:
        load({"ssl_context_factory": len, "http2": True, "prot": 5})
    assert [one.partition(":")[0] for one in caught.value.problems] == ["ssl_context_factory", "http2", "prot"]


def test_names_in_a_file(load, tmp_path):
    (tmp_path / "hypercorn.toml").write_text(
        'bind = "0.0.0.0:80"\ngraceful_timeout = 5\nuse_reloader = false\naccesslog = ""\nloglevel = "WARNING"\n'
    )
    config = load({"config": "hypercorn.toml"})
    assert (config.bind, config.shutdown_timeout, config.log_level) == (("0.0.0.0:80",), 5, "warning")
    assert config.sources["shutdown_timeout"] == "file hypercorn.toml, as graceful_timeout in hypercorn.toml"


def test_two_names_of_one_option_agree_or_not(load, typed, problems, tmp_path):
    """hypercorn has a time for requests and one for the lifespan; here both have one."""
    (tmp_path / "hypercorn.toml").write_text("graceful_timeout = 10\nshutdown_timeout = 10\n")
    assert load({"config": "hypercorn.toml"}).shutdown_timeout == 10
    assert typed("app:app --graceful-timeout 10 --shutdown-timeout 10s").shutdown_timeout == 10
    (problem,) = problems("app:app --graceful-timeout 10 --shutdown-timeout 60")
    assert problem == (
        "--graceful-timeout and --shutdown-timeout contradict each other: got '10' and '60'; they are the same option, "
        "accepted once"
    )
    (problem,) = problems("app:app --graceful-timeout 0 --shutdown-timeout 0")
    assert problem.endswith("contradict each other: '0' of each means something else; write one of them")
