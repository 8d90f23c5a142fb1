"""`saltare doctor` given whole lines: the program in front, what starts it, quotes, and names that differ by program."""

import pytest

from saltare.report.typed import Misread, Typed


def problem(*words):
    with pytest.raises(Misread) as caught:
        Typed(words)
    return str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "uvicorn main:app --port 80",
        "/usr/local/bin/uvicorn main:app --port 80",
        "python -m uvicorn main:app --port 80",
        "python3.12 -X dev -u -m uvicorn main:app --port 80",
        "/venv/bin/python -um uvicorn main:app --port 80",
        "python /venv/bin/uvicorn main:app --port 80",
        "exec uvicorn main:app --port 80",
        "nohup uvicorn main:app --port 80",
        "env -i uvicorn main:app --port 80",
        "poetry run uvicorn main:app --port 80",
        "pipenv run python -m uvicorn main:app --port 80",
        "uv run --with uvicorn uvicorn main:app --port 80",
        "exec poetry run python -m uvicorn main:app --port 80",
        "sh -c 'exec uvicorn main:app --port 80'",
        "env uvicorn main:app \\\n --port 80",
        '["uvicorn", "main:app", "--port", "80"]',
        'CMD ["uvicorn", "main:app", "--port", "80"]',
        "CMD uvicorn main:app --port 80",
        "web: uvicorn main:app --port 80",
        "ExecStart=/srv/venv/bin/uvicorn main:app --port 80",
    ],
)
def test_the_name_in_front_is_taken_off(line):
    typed = Typed([line])
    assert (typed.program, typed.arguments) == ("uvicorn", ["main:app", "--port", "80"])


def test_words_and_a_quoted_line_are_the_same():
    words = ["gunicorn", "-k", "uvicorn.workers.UvicornWorker", "main:app", "-w", "4"]
    for typed in (Typed(words), Typed([" ".join(words)])):
        assert (typed.program, typed.arguments) == ("gunicorn", words[1:])


@pytest.mark.parametrize("name", ["uvicorn", "gunicorn", "granian", "hypercorn", "fastapi", "saltare"])
def test_every_server(name):
    assert Typed([name, "main:app"]).program == Typed(["python", "-m", name, "main:app"]).program == name


def test_a_module_of_gunicorn():
    assert Typed("python -m gunicorn.app.wsgiapp main:app".split()).program == "gunicorn"


@pytest.mark.parametrize(
    "line",
    [
        "main:app --server-header uvicorn",
        "--server-header uvicorn main:app",
        "env:app --port 80",
        "run main.py",
        "exec.py --server-header uvicorn",
        "env",
        "nowhere --server-header uvicorn",
    ],
)
def test_a_line_without_a_program(line):
    typed = Typed(line.split())
    assert (typed.program, typed.arguments) == (None, line.split())


def test_a_folder_that_is_called_like_a_program(tmp_path, monkeypatch):
    (tmp_path / "ls").mkdir()
    monkeypatch.chdir(tmp_path)
    assert Typed(["ls", "--server-header", "uvicorn"]).program is None
    assert Typed(["cat", "uvicorn", "main:app"]).program == "uvicorn"


def test_a_file_whose_path_has_a_blank(tmp_path, monkeypatch):
    (tmp_path / "my app.py").write_text("")
    monkeypatch.chdir(tmp_path)
    assert Typed(["my app.py"]).arguments == ["my app.py"]


def test_variables_of_the_line(doctor):
    report, _ = doctor("env SALTARE_PORT=81 WEB_CONCURRENCY=2 uvicorn main:app")
    assert report["listens"] == ["http://127.0.0.1:81"]
    assert report["processes"].startswith("a master and 2 workers")
    assert doctor("UVICORN_PORT=82", "uvicorn", "main:app")[0]["listens"] == ["http://127.0.0.1:82"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("cd x && uvicorn main:app", "&&: the shell reads this"),
        ("uvicorn main:app &", "&: the shell reads this"),
        ("uvicorn main:app 2>/dev/null", "2>/dev/null: the shell reads this"),
        ("uvicorn main:app --port $PORT", "$PORT: only a shell fills this in"),
        ("uvicorn main:app --port ${PORT:-80}", "${PORT:-80}: only a shell fills this in"),
        ("uvicorn main:app '", 'the line "uvicorn main:app \'": no closing quotation'),
        ("python main.py", "saltare as-uvicorn main.py"),
        ("python -m shop.server", "saltare as-uvicorn -m shop.server"),
        ("python -c 'import x'", "doctor does not read programs"),
        ("poetry run serve", "there is none of uvicorn, gunicorn"),
        ("sh start.sh", "doctor reads no scripts"),
        ("daphne main:app", "saltare does not know daphne's options"),
        ("flask run", "WSGI apps"),
        ("saltare memory main:app", "doctor is for a line that serves"),
    ],
)
def test_lines_that_are_none_of_a_server(line, said):
    assert said in problem(line)


def test_such_a_line_on_the_command_line(command, doctor):
    done = command("doctor", "python", "main.py")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("saltare: python main.py: none of uvicorn, ")
    report, code = doctor("python", "main.py")
    assert (code, report["accepted"]) == (2, False)
    assert report["problems"] == [done.stderr.removeprefix("saltare: ").rstrip()]


def test_a_flag_means_what_it_means_to_that_server(doctor):
    assert doctor("uvicorn", "main:app", "-p", "80")[0]["listens"] == ["http://127.0.0.1:80"]
    for name in ("gunicorn", "hypercorn"):
        report, code = doctor(name, "main:app", "-p", "80")
        assert (code, report["line_of"]) == (0, name)
        assert report["listens"] == ["http://127.0.0.1:8000"]
    report, _ = doctor("fastapi", "run", "-e", "main:app", "-v")
    assert (report["app"], report["line_of"]) == ("main:app", "fastapi")


def test_a_module_without_an_attribute(doctor):
    assert doctor("gunicorn", "main")[0]["app"] == "main:application"
    assert doctor("hypercorn", "main")[0]["app"] == "main:app"
    assert doctor("hypercorn", "asgi:main:api")[0]["app"] == "main:api"
    assert doctor("gunicorn", "main:app")[0]["app"] == "main:app"
    assert doctor("uvicorn", "main")[1] == 2


def test_what_that_server_does_by_itself(doctor, tmp_path):
    assert doctor("gunicorn", "-k", "asgi", "main:app")[0]["warnings"] == []
    assert doctor("uvicorn", "main:app", env={"PORT": "81"})[0]["warnings"] == []
    (kind, port) = doctor("gunicorn", "main:app", env={"PORT": "81"})[0]["warnings"]
    assert kind.startswith("gunicorn without -k serves WSGI apps")
    assert port.endswith("write --bind :81")
    assert doctor("gunicorn", "-k", "asgi", "-b", ":80", "main:app", env={"PORT": "81"})[0]["warnings"] == []
    (interface,) = doctor("granian", "main:app")[0]["warnings"]
    assert "RSGI" in interface
    assert doctor("granian", "--interface", "asgi", "main:app")[0]["warnings"] == []
    (tmp_path / "gunicorn.conf.py").write_text("worker_class = 'asgi'\n")
    assert doctor("gunicorn", "main:app")[0]["warnings"] == []


def test_as_text(command):
    assert "  the line is one of           gunicorn\n" in command("doctor", "gunicorn", "main:app").stdout
    assert "the line is one of" not in command("doctor", "main:app").stdout


def test_the_name_of_a_server_where_saltare_serves(command):
    done = command("uvicorn", "main:app", "--check")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "saltare: uvicorn: the name of a program; write what follows it, or saltare doctor in front of the line\n"
    )
