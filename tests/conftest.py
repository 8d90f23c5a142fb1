"""Fixtures shared by every test folder: servers, raw sockets, and the check that tests leave nothing behind.

serve(app, **options)   a server in a thread of this process; it stops at the end of the test or of its `with` block
module_serve            the same for a whole test module
cli_server(app, *args)  `python -m saltare app *args --port 0`, run in the folder of the test file
module_cli_server       the same for a whole test module
raw(server, timeout)    a raw socket to a server (rawsocket.Raw), closed with the test
free_port               a TCP port of 127.0.0.1 that was free a moment ago

The classes behind these fixtures are in harness.py and rawsocket.py, which every test may import.
"""

import contextlib
import gc
import logging
import signal
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import ALIVE, HANG, process_starter, starter, unused_port
from rawsocket import Raw

FAILED = pytest.StashKey[bool]()


def pytest_addoption(parser):
    parser.addoption(
        "--adversary",
        action="store_true",
        help="collect garbage at each allocation, with finalizers that act on the objects of the core (tests/adversary)",
    )
    parser.addoption("--over-tls", action="store_true", help="servers of `serve` speak TLS, and so do raw sockets")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    if config.getoption("--adversary"):
        config.option.timeout_method = "thread"  # an exception raised by a signal handler may be lost in a finalizer


@pytest.fixture(autouse=True)
def adversary(request, nothing_left):  # depends on nothing_left, so the adversary ends before that fixture checks
    if not request.config.getoption("--adversary") or request.node.get_closest_marker("no_adversary"):
        yield
        return
    sys.path.insert(0, str(Path(__file__).parent / "adversary"))
    from meddler import meddling

    with meddling():
        yield


# Background jobs of a script ignore these, and programs under test would inherit that.
for number, action in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, action)


def pytest_collection_modifyitems(items):
    """Put files with slow tests first. In a parallel run the other workers would otherwise wait for them at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish():
    """Modules and tests stay until the end. Frozen, they cost the many collections of the tests no time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def encrypted(request, tmp_path_factory):
    """What --over-tls adds to the options of servers."""
    if not request.config.getoption("--over-tls"):
        return {}
    from certificates import Authority

    authority = Authority(tmp_path_factory.mktemp("over-tls"))
    return dict(zip(("ssl_certfile", "ssl_keyfile"), authority.issue("127.0.0.1", "localhost"), strict=True))


@pytest.fixture
def serve(encrypted):
    with starter() as start:
        yield lambda app, **options: start(app, **encrypted, **options)


@pytest.fixture(scope="module")
def module_serve():
    with starter() as start:
        yield start


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.fixture(autouse=True)
def nothing_left(request, caplog):
    """After the last server of this process has ended, the core owns nothing: no object, no buffer, no handle."""
    yield
    for phase in ("setup", "call", "teardown"):
        caplog.get_records(phase).clear()  # tracebacks in logged records keep the objects of their frames alive
    cores = [sys.modules[name] for name in ("saltare._core", "saltare._core_full") if name in sys.modules]
    if not cores or ALIVE or request.node.stash.get(FAILED, False):
        return  # the traceback of a failed test keeps them too
    deadline = time.monotonic() + 5
    while any(any(core.live().values()) for core in cores) and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    for core in cores:
        assert not any(core.live().values()), core.live()


@pytest.fixture(autouse=True)
def logging_as_before():
    """A configuration of logging belongs to the process: it disables every logger that it does not name, those of other
    tests too, and what a server has asked for holds for the next one that asks for nothing.
    """
    from saltare import log

    ours = {name: value for name, value in vars(log).items() if name.startswith("_") and not name.startswith("__")}
    given, before = dict(log._given), {one: (one.level, one.propagate) for one in loggers()}
    yield
    vars(log).update(ours)
    log._given.clear()
    log._given.update(given)
    for one in loggers():
        one.disabled = False
        one.level, one.propagate = before.get(one, (logging.NOTSET, True))
    logging.Logger.manager._clear_cache()  # of levels


def loggers():
    return [one for one in logging.Logger.manager.loggerDict.values() if isinstance(one, logging.Logger)]


@pytest.fixture
def cli_server(request, tmp_path):
    with process_starter(request.path.parent, tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def module_cli_server(request, tmp_path_factory):
    with process_starter(request.path.parent, tmp_path_factory.mktemp("servers")) as start:
        yield start


@pytest.fixture
def raw():
    with contextlib.ExitStack() as stack:
        yield lambda server, timeout=HANG: stack.enter_context(Raw(server, timeout))


@pytest.fixture
def free_port():
    return unused_port()
