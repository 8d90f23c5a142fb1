"""What `saltare run` and `saltare dev` add to the options of their line."""

from app_paths import refused, typed
from saltare.launch.arguments import Line


def test_run_listens_on_all_addresses_unless_told_otherwise(project):
    project("main.py")
    config = typed("run")
    assert (config.host, config.sources["host"], config.port) == ("0.0.0.0", "default of saltare run", 8000)
    assert typed("run main.py --host ::1").host == "::1"
    assert typed("run", SALTARE_HOST="127.0.0.2").host == "127.0.0.2"
    assert typed("run --uds /tmp/x").way() == "uds_path"
    assert typed("run --bind 127.0.0.1:5", PORT="7").bind == ("127.0.0.1:5",)
    assert typed("main.py").host == typed("dev").host == "127.0.0.1"


def test_the_port_of_the_environment(project):
    project("main.py")
    config = typed("run", PORT="7")
    assert (config.port, config.sources["port"]) == (7, "environment, as PORT")
    assert typed("dev", PORT="7").port == 7
    assert typed("run --port 8", PORT="7").port == 8
    assert typed("run", PORT="7", SALTARE_PORT="9").port == 9
    assert typed("run", PORT="").port == 8000
    assert typed("main.py", PORT="7").port == 8000
    assert refused("run", PORT="x").startswith("PORT: got 'x'; accepted: a whole number")


def test_dev_reloads_with_one_worker(project):
    project("main.py")
    (project() / "pyproject.toml").write_text("[tool.saltare]\nworkers = 4\nreload = false\n")
    config = typed("dev")
    assert (config.reload, config.workers) == (True, 1)
    assert config.sources["reload"] == "saltare dev"
    assert config.sources["workers"] == "default: file pyproject.toml is set aside by saltare dev"
    assert dict(config.environment) == {"FASTAPI_ENV": "development"}
    config = typed("dev --no-reload")
    assert (config.reload, config.workers) == (False, 4)
    assert refused("dev --workers 2").startswith("saltare dev and --workers contradict each other")
    assert typed("run").reload is False and typed("run").environment is None


def test_names_of_fastapis_command(project):
    project("main.py")
    assert typed("run -v").log_level == typed("dev --verbose main.py").log_level == "debug"
    assert Line(["-v"]).action == "version"


def test_what_is_printed_can_be_read(command, project):
    project("src/shop/__init__.py", "src/shop/main.py")
    printed = command("run", "src/shop/main.py", "--print-config")
    assert printed.returncode == 0, printed.stderr
    (project() / "again.toml").write_text(printed.stdout)
    assert 'app = "shop.main:"' in command("--config", "again.toml", "--print-config").stdout
    checked = command("--config", "again.toml", "--check")
    assert checked.stdout == "saltare: the configuration is valid (the app in shop.main)\n"
    assert command("run", "--print-config").returncode == 0


def test_doctor_knows_the_commands(command, project):
    project("main.py")
    done = command("doctor", "run", "--port", "0", "--proxy-headers")
    assert done.returncode == 0, done.stdout
    assert "would serve the app in main\n" in done.stdout and "http://0.0.0.0:0" in done.stdout
