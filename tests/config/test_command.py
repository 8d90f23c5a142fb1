"""The command without a server: what it prints about itself, bad options, apps that cannot be imported."""

import json
import os
import signal
import subprocess
import sys

import pytest

from saltare import __version__
from saltare.launch import cli
from saltare.options import table

REPORT = """
import faulthandler, json, os, sys
seen = dict(
    argv=sys.argv, path=sys.path[:2], flags=[sys.flags.optimize, sys.flags.dont_write_bytecode], pid=os.getpid(),
    faulthandler=faulthandler.is_enabled(), modules=sorted(sys.modules), xoptions=sys._xoptions,
    cmdline=open("/proc/self/cmdline").read(), fds=[os.path.exists(f"/proc/self/fd/{n}") for n in (0, 1, 2)],
    memfds=sum("saltare-config" in os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if n.isdigit()
               and os.path.exists(f"/proc/self/fd/{n}")),
)
print(json.dumps(seen), flush=True)
sys.exit("enough")
"""


def line_of(result):
    """The only line on stderr."""
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line


@pytest.fixture
def report(command, tmp_path):
    """What the app sees of its process during the import."""
    (tmp_path / "report.py").write_text(REPORT)

    def seen(*arguments, **more):
        result = command("report:app", *arguments, **more)
        assert result.returncode == 3, result.stderr
        return json.loads(result.stdout)

    return seen


def test_check(command):
    result = command("--check", "main:app", "--port", "80")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "saltare: the configuration is valid (app main:app)\n"


def test_check_imports_nothing(command, tmp_path):
    (tmp_path / "main.py").write_text("open('imported', 'w')\n")
    assert command("--check", "main:app").returncode == 0
    assert not (tmp_path / "imported").exists()


def test_check_refuses(command):
    result = command("--check", "main:app", "--port", "80x")
    assert result.returncode == 2
    assert line_of(result) == "saltare: --port: got '80x'; accepted: a whole number from 0 to 65535"


def test_print_config(command, tmp_path):
    result = command("main:app", "--print-config", "--header", "a: b", "--header", "c: d", env={"SALTARE_PORT": "81"})
    assert (result.returncode, result.stderr) == (0, "")
    (tmp_path / "again.toml").write_text(result.stdout)
    again = command("--config", "again.toml", "--print-config")
    assert again.returncode == 0, again.stderr
    lines = {line.split("#")[0].strip(): line.split("# ")[-1] for line in again.stdout.splitlines()}
    assert lines["port = 81"] == lines['header = ["a: b", "c: d"]'] == lines['app = "main:app"'] == "file again.toml"


def test_print_config_needs_no_app(command):
    assert 'app = ""' in command("--print-config").stdout


def test_print_config_to_a_reader_that_left(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "saltare", "--print-config"]
    result = subprocess.run(command, cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writer)
    assert (result.returncode, result.stderr) == (1, b"")


def test_help_names_every_option(command):
    result = command("--help", env={"COLUMNS": "400"})
    assert result.returncode == 0
    for option in table.OPTIONS:
        assert option.env in result.stdout
        assert option.help in result.stdout
        assert option.flag in result.stdout or option.name == "app"
    for text in ("--no-server-header", "--no-date-header", "default 15 s; in seconds"):
        assert text in result.stdout


def test_version(monkeypatch, capsys):
    import types

    import saltare

    core = types.SimpleNamespace(build_info=lambda: {"go": "go1.2.3", "flavour": "plain", "version": __version__})
    monkeypatch.setattr(saltare, "_core", core, raising=False)
    assert cli.main(["--version"]) == 0
    python = f"{sys.implementation.name} {sys.version.split()[0]}"
    assert capsys.readouterr().out == f"saltare {__version__} (plain core, go1.2.3, {python})\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], 'app: none given; accepted: "module:attribute", such as main:app'),
        (["main"], "app: got 'main' (there is no colon in it); accepted: module:attribute"),
        (["a:b", "c:d"], "c:d: one argument too many; one app is served; leave 'a:b' or 'c:d' out"),
        (["a:b", "c"], "c: one argument too many; accepted: one MODULE:ATTRIBUTE and the options in saltare --help"),
        (["a:b", "8000"], "8000: one argument too many; did you mean --port 8000?"),
        (["a:b", "port=8000"], "port=8000: one argument too many; did you mean --port=8000?"),
        (["a:b", "keep-alive"], "keep-alive: one argument too many; did you mean --keep-alive?"),
        (["a:b", "\u2014port"], "\u2014port: one argument too many; did you mean --port?"),
        (["a:b", "\u2014foo"], "\u2014foo: one argument too many; an option starts with two hyphens"),
        (["a:b", "--header", "A:1", "B:2"], "B:2: one argument too many; did you mean --header A:1 --header B:2?"),
        (["a:b", "--header=A:1", "B:2"], "B:2: one argument too many; did you mean --header A:1 --header B:2?"),
        (["a:b", "--reload", "now"], "now: one argument too many; --reload takes no value"),
        (["a:b", "--body-timeout", "5", "minutes"], "minutes: one argument too many; --body-timeout takes one value;"),
        (["a:b", "--keep-alive", "5", "minutes"], "minutes: one argument too many; --keep-alive takes one value;"),
        (["a:b", "--access-log", "8000"], "8000: one argument too many; did you mean --port 8000?"),
        (["python", "-m", "shop"], "python: the name of a program; write the app, such as main:app, or saltare as-uvi"),
        (["/bin/gunicorn", "a:b"], "/bin/gunicorn: the name of a program; write what follows it, or saltare doctor in"),
        (["a:b", "--=5"], "--: unknown option, got '5'; see saltare --help for those that are accepted"),
        (["a:b", "--host", "h", "--bind", ":1"], "--host and --bind contradict each other: got 'h' and ':1'; give one"),
        (["a:b", "--reload-dir", "/"], "--reload-dir: got '/', but reload is off; write --reload as well"),
        (
            ["a:b", "--ws-deflate-context"],
            "--ws-deflate-context: got True, but messages are not compressed; write --ws",
        ),
        (
            ["a:b", "--limit-max-requests-jitter=5"],
            "--limit-max-requests-jitter: got 5, but there is no limit to add it",
        ),
        (["a:b", "--reload", "--workers", "4"], "--reload and --workers contradict each other: got True and 4; while"),
        (["a:b", "-Z"], "-Z: unknown option; see saltare --help for those that are accepted"),
        (["a:b", "--prot", "80"], "--prot: unknown option, got '80'; did you mean --port?"),
        (["a:b", "--body-timout=5"], "--body-timout: unknown option, got '5'; did you mean --body-timeout?"),
        (["a:b", "--port"], "--port: a value is missing; accepted: a whole number from 0 to 65535"),
        (["a:b", "--port", "--factory"], "--port: a value is missing; accepted: a whole number from 0 to 65535"),
        (["a:b", "--port", "-1"], "--port: got '-1'; accepted: a whole number from 0 to 65535"),
        (["a:b", "--no-date-header=yes"], "--no-date-header: got 'yes'; it takes no value"),
        (["a:b", "--por"], "--por: unknown option; did you mean --port?"),
        (["a:b", "--port=1", "--port=2"], "--port: contradicts an earlier one: got '1' and '2'; it is accepted once"),
        (["a:b", "--factory", "--no-factory"], "--no-factory: contradicts an earlier one: got True and False"),
        (["a:b", "--no-date-header", "--date-header"], "--date-header: contradicts an earlier one: got False and True"),
        (["a:b", "--check", "--version"], "--version: contradicts an earlier one: got 'check' and 'version'"),
        (["a:b", "--backlog=1", "--listen-backlog=2"], "--backlog and --listen-backlog contradict each other"),
        (["a:b", "--uds=x", "--port=1"], "--port and --uds contradict each other: got 1 and 'x'"),
        (["a:b", "--header", "Date: x"], "--header: got ['Date: x'] (Date is the server's own, see --date-header)"),
        (["a:b", "--env-file", ".env"], "--env-file: got '.env', which is not a file that exists"),
    ],
)
def test_bad_options(arguments, line, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("SALTARE_")]:
        monkeypatch.delenv(name)
    assert cli.main(arguments) == 2
    (written,) = capsys.readouterr().err.splitlines()
    assert written.startswith(f"saltare: {line}")


def test_flags_reach_the_configuration(monkeypatch):
    seen = []
    monkeypatch.setattr(cli, "become_server", lambda config, embedded: seen.append(config) or 0)
    arguments = ["a:b", "--uds=/x", "--uds-permissions=660", "--no-date-header", "--no-server-header", "--factory"]
    assert cli.main([*arguments, "--timeout-keep-alive=1m", "--header=a: b", "--header=c: d", "--backlog=9"]) == 0
    (made,) = seen
    assert (made.uds_path, made.uds_permissions, made.date_header, made.server_header) == ("/x", 0o660, False, "")
    assert (made.factory, made.keep_alive_timeout, made.listen_backlog) == (True, 60, 9)
    assert made.header == ("a: b", "c: d")
    assert made.sources["header"] == "command line"


def test_repeated_with_the_same_value_is_no_contradiction(monkeypatch):
    monkeypatch.setattr(cli, "become_server", lambda config, embedded: config.port)
    assert cli.main(["a:b", "--port=5", "--port=5"]) == 5


# The interpreter that serves


def test_app_missing(command):
    result = command("nowhere:app")
    assert result.returncode == 3
    assert line_of(result).startswith('saltare: app "nowhere:app": there is no module "nowhere" in ')


def test_app_that_fails_shows_its_own_traceback(command, tmp_path):
    (tmp_path / "main.py").write_text("def start():\n    return 1 / 0\nstart()\n")
    result = command("main:app")
    assert result.returncode == 3
    lines = result.stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    files = [line.split('"')[1] for line in lines if line.startswith("  File ")]
    assert files == [str(tmp_path / "main.py")] * 2
    assert lines[-2] == "ZeroDivisionError: division by zero"
    assert lines[-1] == 'saltare: importing "main" failed: ZeroDivisionError: division by zero'


def test_app_that_is_not_python(command, tmp_path):
    (tmp_path / "main.py").write_text("def (:\n")
    lines = command("main:app").stderr.splitlines()
    assert str(tmp_path / "main.py") in lines[0] + lines[1]
    assert lines[-1].startswith('saltare: importing "main" failed: SyntaxError')


def test_log_file_refused(command, tmp_path):
    (tmp_path / "log.json").write_text("{")
    (tmp_path / "main.py").write_text("")
    result = command("main:app", "--log-config", "log.json")
    assert result.returncode == 2
    assert line_of(result).startswith("saltare: log_config: got 'log.json', which is not accepted: not valid JSON")


def test_arguments_are_kept_and_secrets_are_not_shown(report):
    seen = report("--header", "x-token: secret")
    assert seen["argv"][1:] == ["report:app", "--header", "x-token: secret"]
    assert "secret" not in seen["cmdline"]
    assert seen["memfds"] == 0


def test_serving_interpreter_is_clean(report):
    seen = report()
    parsing = {
        "argparse",
        "gettext",
        "runpy",
        "subprocess",
        "saltare.cli",
        "saltare.launch.cli",
        "saltare.options.table",
        "saltare.options.sources",
    }
    assert not parsing & set(seen["modules"])
    assert seen["faulthandler"]


def test_import_path(report, tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "report.py").rename(tmp_path / "src" / "report.py")
    seen = report("--app-dir", "src")
    assert seen["path"][0] == str(tmp_path / "src")
    assert seen["path"][1] not in ("", str(tmp_path))


def test_a_module_of_the_app_called_like_ours_does_no_harm(report, tmp_path):
    (tmp_path / "config.py").write_text("raise SystemError")
    (tmp_path / "marshal.py").write_text("raise SystemError")
    assert report()["argv"][1:] == ["report:app"]


def test_interpreter_flags_are_kept(report):
    seen = report(flags=["-O", "-B", "-X", "no_debug_ranges", "-X", "utf8=1"])
    assert seen["flags"] == [1, 1]
    assert seen["xoptions"] == {"no_debug_ranges": True, "utf8": "1", "faulthandler": True}


def test_environment_options_reach_the_server(command):
    result = command(env={"SALTARE_APP": "nowhere:app"})
    assert result.returncode == 3


def test_process_is_the_same(tmp_path):
    (tmp_path / "report.py").write_text(REPORT)
    command = [sys.executable, "-m", "saltare", "report:app"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert json.loads(process.stdout.read())["pid"] == process.pid


def test_closed_standard_streams_are_not_reused(tmp_path):
    to_file = REPORT.replace("print(json.dumps(seen), flush=True)", "json.dump(seen, open('seen', 'w'))")
    (tmp_path / "report.py").write_text(to_file)
    command = f"exec {sys.executable} -m saltare report:app 0<&- 1>&- 2>&-"
    assert subprocess.run(command, shell=True, cwd=tmp_path, timeout=60, check=False).returncode == 3
    assert json.loads((tmp_path / "seen").read_text())["fds"] == [True, True, True]


def test_interrupted_before_it_serves(tmp_path):
    # Short sleeps: a signal that arrives just before a sleep is handled after it.
    (tmp_path / "slow.py").write_text(
        "print('importing', flush=True)\nimport time\nfor _ in range(600): time.sleep(0.1)\n"
    )
    command = [sys.executable, "-m", "saltare", "slow:app"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"importing\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == -signal.SIGINT
        assert process.stderr.read() == b""
