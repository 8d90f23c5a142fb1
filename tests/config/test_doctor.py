"""`saltare doctor`: what it says of a line, as text and as JSON, without importing or starting anything."""

import json
import socket

import pytest


@pytest.fixture
def doctor(command, tmp_path):
    """The JSON report of a line, and the exit code."""
    (tmp_path / "main.py").write_text("open('imported', 'w')\n")

    def report(*arguments, **more):
        done = command("doctor", "--json", *arguments, **more)
        assert done.stderr == ""
        assert not (tmp_path / "imported").exists()
        return json.loads(done.stdout), done.returncode

    return report


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
    assert "TLS" in report["not_in_this_version"]


def test_limits(doctor):
    limits = by_name(doctor("main:app", "--max-request-body", "5MiB", "--write-timeout", "0")[0]["limits"])
    assert limits["max_request_body"]["value"] == "5 MiB"
    assert limits["write_timeout"]["value"] == "no limit"
    assert limits["max_request_head"]["value"] == "64 KiB"
    assert limits["max_concurrent_connections"]["value"].endswith(", by the limit of descriptors")
    assert int(limits["max_concurrent_connections"]["value"].partition(",")[0]) > 0


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
    assert "256 share" in why_not(report, "workers")[0]
    assert why_not(report, "the app")[0].startswith('there is no module "nowhere" in ')
    assert len(why_not(report, "parking")) == 1


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
