"""`uvicorn.importer`: what programs import from there."""

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class ImportFromStringError(Exception):
    """The text names no module, or no attribute of one."""


def import_from_string(import_str: "Any") -> "Any":
    """The object that "module:attribute" names; anything but a text is returned as it is."""
    if not isinstance(import_str, str):
        return import_str
    module_name, _, attributes = import_str.partition(":")
    if not module_name or not attributes:
        raise ImportFromStringError(f'Import string "{import_str}" must be in format "<module>:<attribute>".')
    try:
        found = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        raise ImportFromStringError(f'Could not import module "{module_name}".') from None
    try:
        for name in attributes.split("."):
            found = getattr(found, name)
    except AttributeError:
        raise ImportFromStringError(f'Attribute "{attributes}" not found in module "{module_name}".') from None
    return found
