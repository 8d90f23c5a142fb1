"""Imports the app from "module:attribute", with a message for each possible failure."""

import os
import sys

from .. import log
from ..errors import AppError
from ..log import one_line


def load(config):
    """Replaces `config.app` by the app itself and returns it; idempotent. AppError, ConfigError."""
    target, found = find(config)
    if not config.factory and is_factory(found):
        log.warning(f'app "{target}" takes no arguments, so it is called as a factory; --factory says so')
        config.factory = True
    config.app = made_by(found, target) if config.factory else found
    config.factory = False
    check_callable(config.app, target)
    wrap(config)
    return config.app


def find(config):
    """The name of the app or of its factory, and the object itself. AppError, ConfigError."""
    if config.env_file is not None:
        from .env_file import load_file

        load_file(config.env_file)
        config.env_file = None
    put_app_dir_first(config)
    if isinstance(config.app, str):
        return config.app, import_target(config.app)
    return describe(config.app), config.app


def wrap(config):
    """Puts around the app what logs its requests or reads the fields of proxies, where that is asked for."""
    if config.request_logger is not None:
        from .request_log import wrapped

        config.app = wrapped(config.app, config.request_logger)
    if config.trusted_proxies is not None:
        from .proxy_headers import ProxyHeadersMiddleware

        config.app, config.trusted_proxies = ProxyHeadersMiddleware(config.app, config.trusted_proxies), None


def put_app_dir_first(config):
    """For imports of the app, and of what log_config names."""
    if isinstance(config.app, str) or config.sources["app_dir"] != "default":
        put_first(config.app_dir)


def put_first(folder):
    folder = os.path.abspath(folder)
    if sys.path[:1] != [folder]:
        sys.path.insert(0, folder)


def import_target(target):
    """The object that "module:attribute" names; both sides may have dots."""
    module_name, colon, attributes = target.partition(":")
    if not colon or not module_name or not attributes:
        raise AppError(f'app "{target}" is not of the form "module:attribute"')
    found = import_module(module_name, target)
    for depth, name in enumerate(attributes.split(".")):
        owner = ".".join([module_name, *attributes.split(".")[:depth]])
        found = attribute(found, name, owner, target)
    return found


def import_module(name, target):
    from importlib import import_module

    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise AppError(missing_module(name, error.name, target)) from None
        raise failed_import(name, error) from error
    except (Exception, SystemExit) as error:
        raise failed_import(name, error) from error


def failed_import(name, error):
    if isinstance(error, SystemExit):
        return AppError(f'importing "{name}" ended in sys.exit({error.code!r})')
    return AppError(f'importing "{name}" failed: {one_line(error)}')


def missing_module(name, missing, target):
    if name.endswith(".py") or "/" in name:
        dotted = name.removesuffix(".py").strip("./").replace("/", ".")
        return f'app "{target}": "{name}" is a path, not a module; write "{dotted}:{target.partition(":")[2]}"'
    if parent := missing.rpartition(".")[0]:
        return f'app "{target}": "{parent}" has no module "{missing.rpartition(".")[2]}"'
    hint = close_to(missing, modules())
    return f'app "{target}": there is no module "{missing}" in {sys.path[0]} or elsewhere on sys.path{hint}'


def modules():
    """Names of modules in the app's folder."""
    try:
        entries = os.listdir(sys.path[0])
    except OSError:
        return []
    return [name.removesuffix(".py") for name in entries if name.removesuffix(".py").isidentifier()]


def attribute(found, name, owner, target):
    try:
        return getattr(found, name)
    except AttributeError:
        message = f'app "{target}": "{owner}" has no attribute "{name}"{close_to(name, dir(found))}'
        raise AppError(message) from None
    except Exception as error:
        raise AppError(f'app "{target}": reading "{name}" of "{owner}" failed: {one_line(error)}') from error


def close_to(name, names):
    from difflib import get_close_matches

    close = get_close_matches(name, [one for one in names if not one.startswith("_")])
    return f"; did you mean {' or '.join(close)}?" if close else ""


def made_by(factory, target):
    if not callable(factory):
        raise AppError(f'the factory "{target}" is of type {type(factory).__name__}, which cannot be called')
    try:
        return factory()
    except (Exception, SystemExit) as error:
        raise AppError(f'calling the factory "{target}" failed: {one_line(error)}') from error


def check_callable(app, target):
    if not callable(app):
        kind, hint = type(app).__name__, ""
        if kind == "coroutine":
            app.close()
            hint = "; a factory has to return the app itself"
        raise AppError(f'app "{target}" is of type {kind}, which cannot be called{hint}')
    if takes_nothing(app):
        raise AppError(f'app "{target}" takes no arguments, and an app takes three: scope, receive and send')


# Of inspect, which is large to import.
CO_VARARGS, CO_GENERATOR, CO_COROUTINE = 0x04, 0x20, 0x80


def takes_nothing(app):
    code = getattr(app, "__code__", None)
    return code is not None and not code.co_argcount and not code.co_flags & CO_VARARGS


def is_factory(app):
    """Whether it can only be one: an ordinary function without arguments."""
    return takes_nothing(app) and not app.__code__.co_flags & (CO_GENERATOR | CO_COROUTINE)


def describe(app):
    return getattr(app, "__qualname__", type(app).__qualname__)
