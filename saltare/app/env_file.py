"""The environment file, loaded before the app is imported."""

import os

from ..errors import ConfigError


def load_file(path):
    """Sets the file's variables that the environment lacks. ConfigError when it cannot."""
    try:
        from dotenv import dotenv_values
    except ImportError:
        raise ConfigError(f'env_file: got {path!r}, which needs pip install "saltare[dotenv]"') from None
    try:
        # Opened here: dotenv treats a missing file as empty.
        with open(path, encoding="utf-8") as file:
            values = dotenv_values(stream=file)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"env_file: got {path!r}, which cannot be read: {error}") from None
    for name, value in values.items():
        if value is not None:
            check_name(path, name, value)
            os.environ.setdefault(name, value)


def check_name(path, name, value):
    # The options have already been read: silence would suggest that the variable has an effect.
    if name.startswith("SALTARE_") and os.environ.get(name) != value:
        raise ConfigError(f"{name} in {path}: options are read before the file is; set it in the environment instead")
