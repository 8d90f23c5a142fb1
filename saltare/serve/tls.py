"""The options of TLS, as the core takes them."""

import os

from ..process.tickets import Tickets

VERSIONS = {"1.2": 0x0303, "1.3": 0x0304}


def tls_options(config):
    """Paths are absolute: the core reads the files again when they change, and the app may change the folder."""
    options = {
        "tls_certificates": paths(config.ssl_certfile),
        "tls_min_version": VERSIONS[config.ssl_min_version],
        "tls_required": int(config.ssl_verify_client),
    }
    if config.ssl_keyfile:
        options["tls_keys"] = paths(config.ssl_keyfile)
    if config.ssl_keyfile_password:
        options["tls_password"] = config.ssl_keyfile_password.encode()
    if config.ssl_ca_file:
        options["tls_authorities"] = paths([config.ssl_ca_file])
    if config.ssl_ciphers:
        options["tls_ciphers"] = config.ssl_ciphers.encode()
    if config.tls_session_cache_size:
        config.tickets = config.tickets or Tickets()
        options["tls_tickets"] = config.tickets.fileno()
    return options


def paths(names):
    return b"\0".join(os.fsencode(os.path.abspath(name)) for name in names)
