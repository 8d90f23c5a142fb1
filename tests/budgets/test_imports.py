"""Which modules are loaded, and by whom: imports are memory."""

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
# Packages a Go program pays for even when it does not use them.
FORBIDDEN = {"net", "net/http", "crypto/tls", "encoding/json", "log", "net/url", "regexp", "text/template"}
# Modules of the package that read and check options, or serve in other ways.
ONLY_AT_START = """cli launch.cli launch.arguments launch.usage launch.interpreter launch.first_steps launch.in_place app.importer app.search options.app_path options.commands app.import_errors process.threads options.checks options.foreign options.meanings options.python_file options.table app.env_file options.sources options.listing options.net_values toml options.values serve.guest serve.loops serve.in_thread app.first_request memory.park serve.raised launch.touched
report.command report.doctor report.imports report.page report.servers""".split()


def test_import_saltare_is_cheap():
    code = "import json, sys; before = set(sys.modules); import saltare; print(json.dumps(sorted(set(sys.modules) - before)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) == {"saltare", "saltare.errors"}


def test_a_server_loads_little_beside_its_app(cli_server):
    server = cli_server("app_raw:modules")
    with urllib.request.urlopen(server.url) as answer:
        loaded = set(json.load(answer))
    code = "import asyncio, gc, json, sys; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    added = loaded - set(json.loads(done.stdout))
    assert {name for name in added if not name.startswith("saltare.")} == {"app_raw", "saltare", "faulthandler"}
    assert not added & {f"saltare.{name}" for name in ONLY_AT_START}


@pytest.mark.parametrize("options", [[], ["--workers", "2"]], ids=["alone", "worker"])
def test_a_server_loads_no_chapter_that_does_not_serve(cli_server, options):
    server = cli_server("app_raw:modules", *options)
    with urllib.request.urlopen(server.url) as answer:
        loaded = set(json.load(answer))
    chapters = {".".join(name.split(".")[:2]) for name in loaded if name.startswith("saltare.")}
    assert not chapters & {"saltare.cli", "saltare.__main__", "saltare.report", "saltare.compat", "saltare.workers"}
    assert not loaded & {"saltare.launch.cli", "saltare.launch.program", "saltare.prefork.reload"}
    assert {name for name in chapters if name == "saltare.prefork"} == ({"saltare.prefork"} if options else set())


def test_run_loads_nothing_for_programs_written_for_uvicorn():
    code = "import saltare, app_raw; saltare.run(app_raw.modules, port=0)"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=Path(__file__).parent, stderr=subprocess.PIPE, text=True) as program:
        try:
            url = re.search(r"listening on (\S+)", program.stderr.readline())[1]
            with urllib.request.urlopen(url) as answer:
                loaded = set(json.load(answer))
        finally:
            program.terminate()
    assert "saltare.launch.program" in loaded
    assert not {name for name in loaded if name.startswith(("saltare.compat", "saltare.stand_in", "uvicorn"))}
    assert {name for name in loaded if name.startswith("saltare.options.")} <= {
        "saltare.options.config",
        "saltare.options.techniques",
    }


def test_run_unloads_only_what_it_has_loaded():
    code = (
        "import sys, saltare.options.values as kept; from saltare.launch.call import configuration; "
        "configuration('main:app', {}); "
        "print('saltare.options.table' in sys.modules, sys.modules['saltare.options.values'] is kept)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


@pytest.mark.skipif(shutil.which("go") is None, reason="go is not on the PATH")
def test_the_plain_core_has_no_heavy_packages():
    done = subprocess.run(["go", "list", "-deps", "./gocore"], cwd=ROOT, capture_output=True, text=True, check=True)
    packages = set(done.stdout.split())
    assert "saltare/gocore/internal/transport" in packages
    assert not packages & FORBIDDEN
    assert not packages & {"saltare/gocore/internal/tlsrecord", "saltare/gocore/internal/tlsshake"}


def test_the_plain_core_has_no_tls():
    """Neither code nor names of it, and it is less than half as large as the full one."""
    plain, full = ((ROOT / "saltare" / f"{name}{SUFFIX}").read_bytes() for name in ("_core", "_core_full"))
    for word in (b"crypto/tls.(*Conn)", b"tlsshake.", b"tlsrecord.", b"crypto/x509."):
        assert word in full
        assert word not in plain
    assert len(plain) < len(full) / 2


def test_a_plain_server_loads_no_tls(cli_server):
    server = cli_server("app_raw:modules")
    with urllib.request.urlopen(server.url) as answer:
        assert not {"saltare._core_full", "saltare.serve.tls"} & set(json.load(answer))
