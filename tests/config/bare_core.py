"""A core with an access log, which is opened and not used."""

from saltare._core import Core
from saltare.options.sources import load
from saltare.serve.core import core_options, new_core


def opened(text) -> Core:
    """OSError: the core does not take this format."""
    config = load("nothing:app", {"access_log": True})
    config.access_log_format = text
    return new_core(config, core_options(config, guest=False))
