"""Entry and exit of the serving process: reads the configuration that the command line left, picks one process or a
master, and serves.
"""

import os
import sys

from .. import log
from ..process import ignored, title
from ..process.exit_codes import explained
from ..restart.origin import MASTERS, STATE, is_successor, origin


def main(fd):
    """Serves by the configuration in the inherited descriptor, and exits with the resulting code."""
    ignored.ignore_early()
    config, has_ssl = begin(fd)
    title.of_command_line(config.app.removesuffix(":"))
    title.set_title("saltare")
    code, until, whole = serve(config, lambda: clean_server(config, has_ssl))
    from ..process.ending import leave

    leave(code, until, finalize=whole and not is_parked(config))


def begin(fd):
    from .first_steps import take

    return take(fd)


def serve(config, make):
    """Runs the server that `make` returns until it is stopped. Returns the exit code, the deadline for threads to
    end, and whether nothing was cut short. A line on stderr explains a code that is not 0.
    """
    server = None

    def run():
        nonlocal server
        server = make()
        server.run()

    text, code = explained(run)
    if text:
        log.write(text)
    if config.has_identity():
        from ..serve.identity import release

        release(config)
    from ..process.ending import deadline  # the server's modules import it after the app, in the holes that that left

    whole = server is None or server.graceful
    until = getattr(server, "until", None) or deadline(config.shutdown_timeout, 0.0, whole)
    return code or int(not whole), until, whole


def clean_server(config, put_off_ssl):
    """The server of an interpreter that is ours alone, with the memory techniques."""
    from .. import _memory
    from ..options.techniques import untested

    origin()  # before the app can change the folder and the environment
    if config.uses("malloc-settings"):
        _memory.configure()
    configure_log(config)
    if config.memory == "lean" and untested() is not None:
        log.info(f"memory techniques are those of --memory safe: {untested()}")
    forks = needs_master(config)
    if config.park_memory is not None or (forks and config.shares_heap()):
        from ..memory.park import prepare

        prepare()
    return master(config, command_line=True) if forks else single(config, put_off_ssl)


def configure_log(config):
    """As the user that the process is to become. After SIGHUP the modules of log_config are as new as the app."""
    if config.has_identity():
        from ..serve.identity import assume

        assume(config)
    if config.tracemalloc_path is not None:
        from ..serve.traced import begin

        begin()
    if config.log_config is None or not is_successor():
        log.configure(config)
        return
    from ..restart.fresh_code import FreshCode

    with FreshCode():
        log.configure(config)


def needs_master(config):
    """Also true if one process would suffice, but the previous program left workers to replace."""
    return config.supervised() or os.environ.get(STATE, "").endswith(MASTERS)


def master(config, command_line):
    from ..prefork.master import Master

    return Master(config, command_line)


def single(config, put_off_ssl):
    from ..memory.shared_code import SharedCode

    if put_off_ssl and config.uses("lazy-ssl"):
        from ..memory import lazy_ssl

        lazy_ssl.install()
    with SharedCode(config.uses("shared-code")):
        load_fresh(config)  # before the server's modules, so that its errors come at once
        import asyncio  # noqa: F401 - before the next step, because its import leaves free memory as well
    from ..memory.start_up import clear_for_server

    clear_for_server(config)
    with SharedCode(config.uses("shared-code")):
        from ..memory.idle import Cleanup
        from ..serve.server import Server
    server = Server(config)
    server.app_is_loaded = True
    server.cleanup = Cleanup(config, config.park_memory)
    server.after_start = server.cleanup.begin
    return server


def load_fresh(config):
    from ..app.importer import load

    if not is_successor():
        load(config)
        return
    from ..restart.fresh_code import FreshCode

    with FreshCode():
        load(config)


def is_parked(config):
    """Whether finalizing the interpreter would read parked memory back from the file."""
    return (
        config.park_memory is not None
        and "saltare.memory.park" in sys.modules
        and sys.modules["saltare.memory.park"].is_parked()
    )
