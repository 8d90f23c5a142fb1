"""Event loops other than ours: by name, and those that run already."""

from ..errors import AppError, ConfigError


def made_by(name):
    """A new loop of "uvloop" or "module:factory", otherwise asyncio's. ConfigError: the loop does not exist."""
    if name in ("auto", "asyncio"):
        from asyncio import new_event_loop

        return new_event_loop()
    if name == "uvloop":
        try:
            from uvloop import new_event_loop
        except ImportError as error:
            raise ConfigError(f'--loop uvloop needs uvloop: pip install "saltare[uvloop]" ({error})') from None
        return new_event_loop()
    try:
        loop = factory(name)()
    except TypeError as error:
        raise ConfigError(f"--loop {name} cannot be called without arguments: {error}") from None
    if not hasattr(loop, "add_reader"):
        raise ConfigError(f"--loop {name} made a {type(loop).__name__}, which is not an event loop")
    return loop


def factory(name):
    """What "module:factory" names. ConfigError: it cannot be imported."""
    from ..app.importer import import_target

    try:
        return import_target(name)
    except AppError as error:
        raise ConfigError(str(error).replace('app "', '--loop "', 1)) from error.__cause__


def check_none_runs():
    """RuntimeError: a loop runs in this thread, and lets no other run inside it, as one of nest_asyncio does."""
    from asyncio import get_running_loop

    try:
        loop = get_running_loop()
    except RuntimeError:
        return
    if not hasattr(loop, "_nest_patched"):
        raise RuntimeError("a loop runs in this thread already; await server.serve()")
