"""The wheel: its tag, its contents, equal bytes from equal sources, and that it serves."""

import os
import re
import subprocess
import sys
import urllib.request
import zipfile
from email.parser import Parser

import pytest

from builds import MODULES, ROOT, SUFFIX, build_wheel, copy_tree, pip
from harness import Process

pytestmark = pytest.mark.slow

APP = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})
"""


def source_version():
    return re.search(r'__version__ = "(.+)"', (ROOT / "saltare" / "__init__.py").read_text())[1]


def metadata(wheel, name):
    with zipfile.ZipFile(wheel) as archive:
        return Parser().parsestr(archive.read(f"saltare-{source_version()}.dist-info/{name}").decode())


@pytest.fixture(params=MODULES)
def library(request, wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        return archive.extract(f"saltare/{request.param}{SUFFIX}", tmp_path)


def test_tag_names_this_interpreter_and_platform(wheel):
    python = "cp{}{}".format(*sys.version_info)
    assert re.fullmatch(rf"saltare-{source_version()}-{python}-{python}t?-linux_\w+\.whl", wheel.name)
    assert metadata(wheel, "WHEEL")["Root-Is-Purelib"] == "false"


def test_contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "saltare").rglob("*.py*") if path.suffix != ".pyc"}
    assert names == sources | {"saltare/py.typed"} | {f"saltare/{module}{SUFFIX}" for module in MODULES}
    assert {f"saltare/{module}.pyi" for module in MODULES} <= names


def test_metadata(wheel):
    about = metadata(wheel, "METADATA")
    assert about["Requires-Python"] == ">=3.10"
    assert about["License-Expression"] == "MIT"
    assert all("extra ==" in need for need in about.get_all("Requires-Dist", []))
    assert {"dotenv", "uvloop"} <= set(about.get_all("Provides-Extra"))


def test_library_shows_the_loader_nothing_but_its_init_function(library):
    answer = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True)
    module = os.path.basename(library).removesuffix(SUFFIX)
    assert [line.split()[-1] for line in answer.stdout.splitlines()] == [f"PyInit_{module}"]


def test_library_is_stripped_and_names_no_folder_of_the_build(library, tree):
    answer = subprocess.run(["readelf", "--sections", "--wide", library], capture_output=True, text=True, check=True)
    assert not re.search(r"\.(symtab|z?debug_\w+)\b", answer.stdout)
    with open(library, "rb") as file:
        content = file.read()
    assert str(tree).encode() not in content
    assert b"/saltare-go-" not in content
    assert b"/saltare-build-" not in content


def test_equal_sources_give_equal_bytes(wheel, package_index, tmp_path):
    elsewhere = copy_tree(tmp_path / "a folder with spaces")
    for path in elsewhere.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    again = build_wheel(elsewhere, tmp_path / "wheel", env={**os.environ, "GOCACHE": "/proc/no/cache/can/be/here"})
    assert again.read_bytes() == wheel.read_bytes()


def test_installed_wheel_serves(wheel, clean_venv, tmp_path):
    pip(clean_venv / "python", "install", "--no-index", wheel)
    (tmp_path / "main.py").write_text(APP)
    server = Process([clean_venv / "saltare", "main:app", "--port", "0"], tmp_path / "stderr", cwd=tmp_path)
    try:
        with urllib.request.urlopen(server.url) as answer:
            assert answer.read() == b"hello"
            assert answer.headers["server"] == f"saltare/{source_version()}"
    finally:
        assert server.stop() == 0, server.logs()


def test_editable_install_runs_the_tree_itself(tree, package_index, clean_venv, tmp_path):
    pip(clean_venv / "python", "install", "--editable", tree)
    code = "import saltare._core; print(saltare._core.__file__, saltare._core.build_info())"
    answer = subprocess.run([clean_venv / "python", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert answer.stdout.startswith(f"{tree}/saltare/_core{SUFFIX} "), answer.stderr
    assert "'flavour': 'plain'" in answer.stdout
    assert f"'version': '{source_version()}'" in answer.stdout
