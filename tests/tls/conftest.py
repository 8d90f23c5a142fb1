"""Fixtures of the tests of TLS: an authority, and servers with its certificates."""

import pytest

from certificates import Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def localhost(authority):
    """A certificate and its key, as paths."""
    return authority.issue("localhost", "127.0.0.1")


@pytest.fixture
def tls_server(cli_server, localhost):
    """Starts `saltare app ARGS` with the certificate for localhost."""

    def start(*args, app="tls_apps:app", **more):
        return cli_server(app, "--ssl-certfile", localhost[0], "--ssl-keyfile", localhost[1], *args, **more)

    return start
