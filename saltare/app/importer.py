"""Imports the app from "module:attribute", with a message for each possible failure."""

from .. import log
from ..errors import AppError
from ..log import one_line
from ..modules import put_app_dir_first, unload


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
        target = config.app if config.app[-1:] != ":" else searched(config.app[:-1])
        return target, import_target(target)
    return describe(config.app), config.app


def wrap(config):
    """Puts around the app what logs its requests, where that is asked for."""
    if config.request_logger is not None:
        from .request_log import wrapped

        config.app = wrapped(config.app, config.request_logger)


def searched(module_name):
    """The app's name, for a module that is given without it. AppError: there is none, or there are several."""
    module = import_module(module_name, f"{module_name}:")
    from .search import app_in

    target = f"{module_name}:{app_in(module)}"
    log.info(f'the app is "{target}"')
    unload("app.search", "app.kind")
    return target


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
    except (Exception, SystemExit) as error:
        from .import_errors import of_import

        message, cause = of_import(name, target, error)
        raise AppError(message) from cause


def attribute(found, name, owner, target):
    try:
        return getattr(found, name)
    except Exception as error:
        from .import_errors import of_attribute

        message, cause = of_attribute(found, name, owner, target, error)
        raise AppError(message) from cause


def made_by(factory, target):
    if not callable(factory):
        raise AppError(f'the factory "{target}" is of type {type(factory).__name__}, which cannot be called')
    try:
        return factory()
    except (Exception, SystemExit) as error:
        raise AppError(f'calling the factory "{target}" failed: {one_line(error)}') from error


AN_APP = "; an app is called with scope, receive and send"


def check_callable(app, target):
    if not callable(app):
        kind, hint = type(app).__name__, ""
        if kind == "coroutine":
            app.close()
            hint = "; a factory has to return the app itself"
        raise AppError(f'app "{target}" is of type {kind}, which cannot be called{hint or AN_APP}')
    if takes_nothing(app):
        raise AppError(f'app "{target}" takes no arguments, and an app takes three: scope, receive and send')
    from .kind import check

    check(app, target)
    unload("app.kind")


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
