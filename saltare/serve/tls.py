"""The options of TLS, as the core takes them."""

import os

VERSIONS = {"1.2": 0x0303, "1.3": 0x0304}
SECRET = 32  # bytes


def new_ticket_secret():
    return os.urandom(SECRET)


def tls_options(config):
    """Paths are absolute: the core reads the files again when they change, and the app may change the folder."""
    options = {
        "ssl_certfile": paths(config.ssl_certfile),
        "ssl_min_version": VERSIONS[config.ssl_min_version],
        "ssl_required": int(config.ssl_verify_client),
    }
    if config.ssl_keyfile:
        options["ssl_keyfile"] = paths(config.ssl_keyfile)
    if config.ssl_keyfile_password:
        options["ssl_keyfile_password"] = config.ssl_keyfile_password.encode()
    if config.ssl_ca_file:
        options["ssl_ca_file"] = paths([config.ssl_ca_file])
    if config.ssl_ciphers:
        options["ssl_ciphers"] = config.ssl_ciphers.encode()
    if config.tls_session_cache_size:
        options["ssl_tickets"] = config.ticket_secret or new_ticket_secret()
    return options


def paths(names):
    return b"\0".join(os.fsencode(os.path.abspath(name)) for name in names)
