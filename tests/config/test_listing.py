"""Options as text: --print-config prints a file with the same meaning, and the table of docs/options.md is current."""

import subprocess
import sys

import pytest

from saltare.options import listing, table
from saltare.options.listing import toml

GIVEN = [
    {},
    {"uds_path": "/run/x.sock", "uds_permissions": 0o660},
    {"bind": ["[::1]:80", "unix:/x"], "header": ["a: b # c", 'd: "e\\f"']},
    {"fd": 3, "server_header": False, "date_header": False},
    {"host": "::", "port": 0, "max_request_body": "10MB", "body_timeout": "1m30s", "write_timeout": 0.25},
    {"root_path": '/grüße "x"', "factory": True, "loop": "mod:new_loop", "log_level": "debug"},
]


@pytest.mark.parametrize("given", GIVEN)
def test_print_config_round_trip(load, tmp_path, given):
    first = load(given)
    (tmp_path / "again.toml").write_text(toml(first))
    again = load({"config": "again.toml"}, app=None)
    differing = {name for name, value in first.values().items() if getattr(again, name) != value}
    assert differing == {"config"}
    assert again.sources["port" if again.way() == "tcp" else again.way()] == "file again.toml"


def test_print_config_tells_sources(load):
    text = toml(load({"port": 1}, {"SALTARE_BODY_TIMEOUT": "500ms"}))
    lines = {line.split(" = ")[0]: line for line in text.splitlines() if " = " in line}
    assert lines["port"].split() == ["port", "=", "1", "#", "keyword"]
    assert lines["body_timeout"].split() == ["body_timeout", "=", "0.5", "#", "environment"]
    assert lines["host"].endswith("# default")
    assert {name.removeprefix("# ") for name in lines} == {option.name for option in table.OPTIONS}


def test_print_config_tells_what_was_set_aside(load):
    text = toml(load({"uds_path": "/x"}, {"SALTARE_PORT": "9"}))
    assert "# port = 8000" in text
    assert "default: environment is set aside by uds_path" in text


def test_options_table_has_every_option():
    written = listing.markdown()
    for option in table.OPTIONS:
        row = next(line for line in written.splitlines() if f"`{option.name}`" in line)
        assert row.count(" | ") == 4, row
        assert f"`{option.flag}`" in row or option.name == "app"
    assert "| `--ws-max-size` | `ws_max_size` | 16 MiB |" in written
    assert "| `--max-request-body` | `max_request_body` | 0 |" in written
    assert "saltare/VERSION" in written


def test_loading_options_imports_nothing_heavy():
    heavy = {
        "argparse",
        "dataclasses",
        "typing",
        "tomllib",
        "difflib",
        "re",
        "logging",
        "json",
        "saltare.options.sources",
    }
    code = f"import sys; before = set(sys.modules); import saltare.options.table; print({heavy} & (set(sys.modules) - before))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert result.stdout.strip() == "set()", result.stderr
