"""Where names of other servers come from besides the line: a configuration in Python, variables; and what the log says."""

# ---- a configuration in Python ----

CONF = """
import multiprocessing

bind = ["0.0.0.0:8000"]
workers = multiprocessing.cpu_count() * 2
worker_class = "uvicorn.workers.UvicornWorker"
timeout = 120
max_requests = 1000
accesslog = "-"
keyfile = None


def post_fork(server, worker):
    raise SystemExit("it is not run")
"""


def test_a_configuration_in_python_is_told_in_our_words(problems, tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text(CONF)
    (problem,) = problems("app:app -c gunicorn.conf.py")
    for text in (
        'bind = ["0.0.0.0:8000"]',
        "workers = ... (there: multiprocessing.cpu_count() * 2)",
        "limit_max_requests = 1000",
        "post_fork: saltare calls no hooks",
        ". Or keep gunicorn and this file: gunicorn -k saltare.workers.SaltareWorker -c FILE",
    ):
        assert text in problem
    assert "timeout" not in problem and "keyfile" not in problem and "\n" not in problem


OTHER_ASSIGNMENTS = """
import os
workers: int = 2
timeout: int
workers = 3
bind, max_requests = "0.0.0.0:80", 7
keepalive, backlog = sizes()
[loglevel] = ["info"]
if os.environ.get("DEBUG"):
    reload = True
    keyfile = None
elif other:
    reload = bool(other)
else:
    def on_starting(server): ...
try:
    chdir = folder()
except OSError:
    ssl_context = "x"
workers += 1
class A:
    uds = 5
"""


def test_assignments_of_all_kinds(problems, tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text(OTHER_ASSIGNMENTS)
    (problem,) = problems("app:app -c gunicorn.conf.py")
    lines, _, left = problem.partition("write a TOML file: ")[2].partition(". Of the rest: ")
    assert lines.split("; ") == [
        "workers = 3",
        'bind = ["0.0.0.0:80"]',
        "limit_max_requests = 7",
        "keep_alive_timeout = ... (there: sizes()[...])",
        "listen_backlog = ... (there: sizes()[...])",
        'log_level = "info"',
        "reload = ... (there: True if os.environ.get('DEBUG'))",
        "reload = ... (there: bool(other) unless os.environ.get('DEBUG') if other)",
        "app_dir = ... (there: folder() in some cases)",
        "workers = ... (there: workers += 1)",
    ]
    assert "on_starting: saltare calls no hooks" in left and "ssl_context: saltare's TLS is not Python's" in left
    assert "certfile" not in problem.replace("--ssl-certfile", "") and "uds" not in problem


# ---- variables ----


def test_web_concurrency_is_the_default_of_workers(typed, load, problems):
    assert typed("app:app", WEB_CONCURRENCY="3").workers == 3
    assert typed("app:app", WEB_CONCURRENCY="3").sources["workers"] == "WEB_CONCURRENCY"
    assert typed("app:app --workers 2", WEB_CONCURRENCY="3").workers == 2
    assert typed("app:app", WEB_CONCURRENCY="3", SALTARE_WORKERS="4").workers == 4
    assert typed("app:app", WEB_CONCURRENCY="").workers == 1
    assert typed("app:app --reload", WEB_CONCURRENCY="3").workers == 1
    assert load(env={"WEB_CONCURRENCY": "3"}).workers == 3
    assert load(env={"WEB_CONCURRENCY": "3"}, app=lambda: None).workers == 1
    assert problems("app:app", WEB_CONCURRENCY="auto")[0].startswith("WEB_CONCURRENCY: got 'auto'; accepted: a whole")


def test_variables_of_uvicorn_are_read_where_uvicorn_reads_them(typed, load):
    env = {"UVICORN_PORT": "81", "UVICORN_RELOAD_DIRS": "/:/tmp", "UVICORN_RELOAD": "1", "UVICORN_OTHER": "x"}
    config = typed("app:app", **env)
    assert (config.port, config.reload, config.reload_dir) == (81, True, ("/", "/tmp"))
    assert config.sources["port"] == "environment"
    assert typed("app:app", **env, SALTARE_PORT="82").port == 82
    assert typed("app:app --port 83", **env).port == 83
    assert load(env=env).port == 8000
    assert typed("", UVICORN_APP="main:app").app == "main:app"
    assert typed("app:app", UVICORN_APP="main:app").app == "app:app"
    assert typed("app:app", UVICORN_HEADERS="x:y a:b").header == typed("app:app --header x:y --header a:b").header
    patterns = {"UVICORN_RELOAD": "1", "UVICORN_RELOAD_INCLUDES": "*.a *.b", "UVICORN_RELOAD_EXCLUDES": "c d"}
    config = typed("app:app", **patterns)
    assert (config.reload_include, config.reload_exclude) == (("*.a", "*.b"), ("c", "d"))
    pings = {"UVICORN_WS_PING_INTERVAL": "30", "UVICORN_WS_PING_TIMEOUT": "40"}
    assert typed("app:app", **pings).ws_keepalive_timeout == 40


def test_variables_that_are_not_read_are_named(typed, monkeypatch):
    lines = []
    monkeypatch.setattr("saltare.log.warning", lambda line, *rest: lines.append(line))
    env = {
        "GRANIAN_WORKERS_LIFETIME": "60",
        "GRANIAN_HTTP": "1",
        "GUNICORN_CMD_ARGS": "-w 4",
    }
    typed("app:app", **env)
    assert len(lines) == 2
    assert lines[0].startswith("GUNICORN_CMD_ARGS is not read: write its options on the command line")
    assert "GRANIAN_HTTP, GRANIAN_WORKERS_LIFETIME; write SALTARE_LIMIT_WORKER_LIFETIME" in lines[1]
    for given, advice in (
        ({"GRANIAN_INTERFACE": "asgi"}, "GRANIAN_INTERFACE; leave them out"),
        ({"GRANIAN_INTERFACE": "asginl"}, "GRANIAN_INTERFACE; write SALTARE_LIFESPAN"),
        ({"GRANIAN_INTERFACE": "wsgi"}, "GRANIAN_INTERFACE; write options on the command line"),
        ({"GRANIAN_PORT": "1", "GRANIAN_HTTP": "1"}, "GRANIAN_HTTP, GRANIAN_PORT; write SALTARE_PORT"),
    ):
        lines.clear()
        typed("app:app", **given)
        assert lines == [f"variables of granian are not read: {advice}"]
    lines.clear()
    typed("app:app --log-level error", **env)
    assert lines == []


def test_what_does_less_here_is_a_warning(typed, monkeypatch):
    lines = []
    monkeypatch.setattr("saltare.log.warning", lambda line, *rest: lines.append(line))
    assert typed("app:app --chdir /").app_dir == "/"
    assert lines == [
        "--chdir '/' of gunicorn and granian is taken as app_dir = '/'; it is put first on sys.path, and the working "
        "directory stays: for relative paths write cd before the command"
    ]


def test_what_a_name_came_to_is_logged_at_debug(typed, capfd):
    typed("app:app --log-level debug --http auto --max-requests 5")
    written = capfd.readouterr().err
    assert "DEBUG --http 'auto' of uvicorn and granian needs nothing: saltare has one parser" in written
    assert "DEBUG --max-requests '5' of gunicorn and hypercorn is taken as limit_max_requests = '5'" in written
    typed("app:app --http auto")
    assert capfd.readouterr().err == ""
