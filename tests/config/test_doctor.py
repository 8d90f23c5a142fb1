"""`saltare doctor`: what it says of a line, as text and as JSON, without importing or starting anything."""

import socket


def why_not(report, what):
    return [one["why"] for one in report["not_here"] if one["what"] == what]


def by_name(rows):
    return {row["name"]: row for row in rows}


def test_what_would_start(doctor):
    report, code = doctor(
        "-w", "2", "-b", "127.0.0.1:0", "--max-requests", "5", "main:app", env={"SALTARE_BODY_TIMEOUT": "9"}
    )
    assert (code, report["accepted"], report["problems"]) == (0, True, [])
    assert report["app"] == "main:app"
    assert report["processes"].startswith("a master and 2 workers")
    assert report["listens"] == ["http://127.0.0.1:0"]
    options = by_name(report["options"])
    assert options["limit_max_requests"] == {
        "name": "limit_max_requests",
        "value": 5,
        "source": "command line, as --max-requests",
    }
    assert options["body_timeout"]["source"] == "environment"
    assert any("--max-requests '5' of gunicorn" in note for note in report["other_servers_names"])
    assert by_name(report["limits"])["body_timeout"] == {
        "name": "body_timeout",
        "value": "9 s",
        "source": "environment",
    }
    assert "HTTP/2" in report["not_in_this_version"]


def test_limits(doctor):
    limits = by_name(doctor("main:app", "--max-request-body", "5MiB", "--write-timeout", "0")[0]["limits"])
    assert limits["max_request_body"]["value"] == "5 MiB"
    assert limits["write_timeout"]["value"] == "no limit"
    assert limits["max_request_head"]["value"] == "64 KiB"
    assert limits["max_concurrent_connections"]["value"].endswith(", by the limit of descriptors")
    assert int(limits["max_concurrent_connections"]["value"].partition(",")[0]) > 0


def test_addresses_as_they_can_be_used(doctor):
    report, _ = doctor("main:app", "-b", ":8000,localhost,[::1]:80,unix:x.sock,fd://7")
    assert report["listens"] == [
        "http://0.0.0.0:8000",
        "http://localhost:8000",
        "http://[::1]:80",
        "unix:x.sock",
        "fd://7",
    ]
    assert doctor("main:app", "--host", "::", "--port", "0")[0]["listens"] == ["http://[::]:0"]
    assert doctor("main:app", "--fd", "7")[0]["listens"] == ["fd://7"]


def test_columns_stand_apart(command):
    lines = command("doctor", "main:app").stdout.splitlines()
    rows = lines[lines.index("limits") + 1 :]
    rows = rows[: rows.index("")]
    assert len(rows) > 10
    assert len({line.rindex(" default") for line in rows}) == 1
    assert all(line.endswith(" default") and len(line.split("  ")) > 2 for line in rows)


def test_every_lack_has_one_reason(doctor):
    lacks = doctor("main:app")[0]["not_in_this_version"]
    refused = doctor("main:app", "--http2")[0]
    for what, problem in zip(("HTTP/2",), refused["problems"], strict=True):
        assert problem.endswith(lacks[what])


def test_every_problem_and_what_the_rest_comes_to(doctor):
    report, code = doctor("main:app", "--port", "x", "--daemon", "--http", "auto")
    assert (code, report["accepted"]) == (2, False)
    assert [one.partition(":")[0] for one in report["problems"]] == ["--port", "--daemon"]
    assert report["other_servers_names"] == [
        "--http 'auto' of uvicorn and granian needs nothing: saltare has one parser, for HTTP/1.1"
    ]


def test_what_could_not_be_done(doctor, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        report, code = doctor("nowhere:app", "--port", str(port), "--workers", "256", "--park-memory", "/dev/shm")
    assert code == 0
    assert why_not(report, "listening") == [
        f"cannot listen on 127.0.0.1:{port}: the port is in use; another --port, or 0 for a free one, avoids that"
    ]
    (why,) = why_not(report, "workers")
    assert why.startswith("256 share") and why.endswith("--workers 0 starts as many as there are, at most 4")
    assert why_not(report, "the app")[0].startswith('there is no module "nowhere" in ')
    assert len(why_not(report, "parking")) == 1


def test_where_it_could_not_listen(doctor, tmp_path):
    assert why_not(doctor("main:app", "--uds", "/nodir/x.sock")[0], "listening") == [
        "cannot listen on unix:/nodir/x.sock: there is no folder /nodir; create it"
    ]
    (why,) = why_not(doctor("main:app", "--uds", str(tmp_path / "main.py"))[0], "listening")
    assert "not a socket" in why
    assert why_not(doctor("main:app", "--uds", "x.sock")[0], "listening") == []
    (why,) = why_not(doctor("main:app", "--fd", "77")[0], "listening")
    assert why.startswith("cannot listen on fd 77: bad file descriptor; what starts saltare has to pass")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "x.sock"))
    assert why_not(doctor("main:app", "--uds", "x.sock")[0], "listening") == []
    assert (tmp_path / "x.sock").exists()


def test_what_the_server_would_warn_of(doctor, command):
    env = {
        "GRANIAN_PORT": "80",
        "SALTARE_PORT": "tcp://10.0.0.1:80",
        "SALTARE_SERVICE_HOST": "10.0.0.1",
    }
    report, code = doctor("main:app", "--chdir", "/", env=env)
    assert code == 0
    starts = ["--chdir '/' of gunicorn", "environment variables that Kubernetes", "variables of"]
    assert len(report["warnings"]) == len(starts)
    assert all(map(str.startswith, report["warnings"], starts))
    assert f"warnings\n  {report['warnings'][1]}" in command("doctor", "main:app", env=env).stdout
    assert doctor("main:app")[0]["warnings"] == []


def test_other_actions(doctor, command):
    assert command("doctor", "main:app", "--version").stdout == command("--version").stdout
    report, code = doctor("main:app", "--print-config")
    assert (code, report["problems"]) == (2, ["--print-config: doctor prints its own report; leave one of them out"])
    assert doctor("main:app", "--check")[1] == 0


def test_a_zero_of_other_servers(doctor):
    report, _ = doctor("main:app", "--timeout-graceful-shutdown", "0")
    assert by_name(report["options"])["shutdown_timeout"]["value"] == "requests are cancelled at once"
    assert by_name(report["limits"])["shutdown_timeout"]["value"] == "requests are cancelled at once"


def test_a_file_that_gunicorn_would_read(doctor, tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text("workers = 3\n")
    (why,) = why_not(doctor("main:app", "--port", "0")[0], "gunicorn.conf.py")
    assert "saltare does not" in why and "workers = 3" in why


def test_as_text(command, tmp_path):
    (tmp_path / "main.py").write_text("")
    done = command("doctor", "main:app", "--port", "0", "--timeout-keep-alive", "0")
    assert (done.returncode, done.stderr) == (0, "")
    assert "would serve main:app" in done.stdout
    assert "max_keepalive_requests       1                        command line, as --timeout-keep-alive" in done.stdout
    refused = command("doctor", "main:app", "--daemon")
    assert refused.returncode == 2
    assert "--daemon: saltare stays in the foreground" in refused.stdout


def test_help(command):
    done = command("doctor", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--json" in done.stdout and "--max-request-head" in done.stdout
