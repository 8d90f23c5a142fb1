"""Log lines: to the user's handlers if any, otherwise to stderr, without importing logging."""

import os
import sys
import time

DEBUG, INFO, WARNING, ERROR, CRITICAL = 10, 20, 30, 40, 50
WORDS = {DEBUG: "DEBUG", INFO: "INFO", WARNING: "WARNING", ERROR: "ERROR", CRITICAL: "CRITICAL"}
UVICORNS = "uvicorn.error"
REQUESTS, UVICORNS_REQUESTS = "saltare.access", "uvicorn.access"
HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")

# Loggers belong to the process, so these do too: among several servers, the one configured last sets the level.
_level, _asked_for, _applied = INFO, False, None
_as_json = False
_given = {}  # logger: the level that we set on it
_theirs = None  # the one logger for all lines, where one was asked for, instead of `saltare` and `saltare.error`


def configure(config):
    """Sets the level and applies `log_config`, a file once. ConfigError when logging rejects it."""
    global _level, _asked_for, _applied, _theirs
    if config.log_config is not None:
        if not isinstance(config.log_config, str) or _applied is None or _applied[0] != config.log_config:
            from .log_config import apply_for

            _applied = config.log_config, apply_for(config)
        go_by(config, _applied[1])
    _theirs = config.server_logger
    set_format(config.log_format)
    _level = next(level for level, word in WORDS.items() if word.lower() == config.log_level)
    _asked_for = config.sources["log_level"] != "default"


def set_format(name):
    """How lines are written that no handler takes: "text" or "json"."""
    global _as_json
    _as_json = name == "json"


def import_again():
    """For a worker that imports the app itself: so it does with what log_config has imported of the app's folder."""
    global _applied
    if _applied is not None:
        from .log_config import forget_imported

        if forget_imported():
            _applied = None


def go_by(config, loggers):
    """Sends lines, and records of requests, to the loggers that a configuration names: ours or uvicorn's."""
    config.request_logger = next((name for name in (REQUESTS, UVICORNS_REQUESTS) if name in loggers), None)
    if config.request_logger is not None and config.sources["access_log"] != "default":
        if not config.access_log:
            config.request_logger = None
        elif config.sources["access_log_path"] == "default":
            config.access_log = False  # the loggers take the place of stderr
    ours = any(name.partition(".")[0] == "saltare" for name in loggers)
    theirs = not ours and not loggers.isdisjoint(("uvicorn", UVICORNS))
    config.server_logger = UVICORNS if theirs else None


def error(message, exception=None):
    emit(ERROR, "saltare.error", message, exception)


def warning(message, exception=None):
    emit(WARNING, "saltare", message, exception)


def info(message):
    emit(INFO, "saltare", message)


def debug(message):
    emit(DEBUG, "saltare", message)


def enabled(level):
    """Whether a message of that level would be logged; call it before building an expensive one."""
    logger = logger_in_use("saltare")
    return level >= _level if logger is None else logger.isEnabledFor(level)


def emit(level, name, message, exception=None):
    logger = logger_in_use(name)
    if not (level >= _level if logger is None else logger.isEnabledFor(level)):
        return
    if logger is None or not logger.hasHandlers():
        write(line(level, message, exception))
        return
    try:
        logger.log(level, message, exc_info=exception, stacklevel=3)
    except Exception:
        # A handler on a closed stream, for example: the message matters more than the handler's error.
        write(line(level, message, exception))


def logger_in_use(name):
    """The logger, or None while logging is not imported: then there are no handlers."""
    if "logging" not in sys.modules:
        return None
    import logging

    top = logging.getLogger(_theirs or "saltare")
    if _asked_for or top.level in (logging.NOTSET, _given.get(top)):
        top.setLevel(_level)
        _given[top] = _level
    logger = top if _theirs else logging.getLogger(name)
    # A dictConfig of the app disables every logger that it does not name; tracebacks must not be lost by that.
    logger.disabled = False
    return logger


def line(level, message, exception=None):
    if _as_json:
        return json_line(level, message, exception)
    stamp = time.strftime("%Y-%m-%d %H:%M:%S%z")
    return f"{stamp} {WORDS[level]} {message}\n{'' if exception is None else traceback_of(exception)}"


def json_line(level, message, exception):
    from .cpython import json_string

    now = time.time()
    stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1000):03}Z"
    text = "" if exception is None else f',"traceback":{json_string(traceback_of(exception))}'
    return f'{{"time":"{stamp}","level":"{WORDS[level]}","message":{json_string(message)}{text}}}\n'


def traceback_of(exception):
    import traceback

    try:
        return "".join(traceback.format_exception(type(exception), exception, exception.__traceback__))
    except Exception as failure:
        return f"{type(exception).__name__} (its traceback cannot be formatted: {type(failure).__name__})\n"


def one_line(error):
    return " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")


def without_our_frames(exception):
    """The exception without the frames of saltare and the import system that led into the app."""
    step = exception.__traceback__
    while step is not None and is_ours(step.tb_frame.f_code.co_filename):
        step = step.tb_next
    return exception.with_traceback(step)


def is_ours(filename):
    return filename.startswith((HERE, "<frozen importlib")) or filename.endswith("/importlib/__init__.py")


def write(text):
    """Writes the whole text to stderr; to stdout if stderr is closed, since a traceback must not be lost."""
    for stream in (sys.stderr, sys.__stderr__, sys.stdout, sys.__stdout__):
        if stream is not None and written(stream, text):
            return


def written(stream, text):
    try:
        if stream is sys.__stderr__:
            # Unbuffered: text left in the buffer by a broken pipe would turn the exit code into 120.
            stream.flush()
            write_all(stream.fileno(), text.encode("utf-8", "backslashreplace"))
        else:
            stream.write(text)
            stream.flush()
    except (OSError, ValueError):
        return False
    return True


def write_all(fd, data):
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            wait_writable(fd)


def wait_writable(fd):
    # Another process on the same terminal may have made it non-blocking.
    import select

    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    poll.poll()


def startup_line(listeners, flavour, workers=0):
    """The addresses, the process, its workers, the core; on a terminal, also how to stop it."""
    from . import __version__

    urls = ", ".join(f"{listener.url}{' for admin' if listener.admin else ''}" for listener in listeners)
    stop = "; Ctrl+C to stop" if on_terminal(sys.stderr) else ""
    forked = f"{workers} {'worker' if workers == 1 else 'workers'}, " if workers else ""
    return f"saltare {__version__} listening on {urls} (pid {os.getpid()}, {forked}{flavour} core){stop}"


def on_terminal(stream):
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False
