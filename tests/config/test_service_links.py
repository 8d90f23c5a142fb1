"""Variables that Kubernetes sets for a service named saltare."""

import pytest

# Variables that Kubernetes sets for services named saltare and saltare-web-2, each with a named port.
SERVICE_LINKS = {
    "SALTARE_SERVICE_HOST": "10.0.0.1",
    "SALTARE_SERVICE_PORT": "8000",
    "SALTARE_SERVICE_PORT_HTTP": "8000",
    "SALTARE_PORT": "tcp://10.0.0.1:8000",
    "SALTARE_PORT_8000_TCP": "tcp://10.0.0.1:8000",
    "SALTARE_PORT_8000_TCP_PROTO": "tcp",
    "SALTARE_PORT_8000_TCP_PORT": "8000",
    "SALTARE_PORT_8000_TCP_ADDR": "10.0.0.1",
    "SALTARE_PORT_53_UDP": "udp://10.0.0.1:53",
    "SALTARE_WEB_2_SERVICE_HOST": "10.0.0.2",
    "SALTARE_WEB_2_SERVICE_PORT": "443",
    "SALTARE_WEB_2_PORT": "tcp://10.0.0.2:443",
    "SALTARE_WEB_2_PORT_443_TCP_ADDR": "10.0.0.2",
}


@pytest.fixture
def warnings(monkeypatch):
    """The warnings logged, however other tests have left the loggers."""
    lines = []
    monkeypatch.setattr("saltare.log.warning", lambda line, *rest: lines.append(line))
    return lines


def test_service_links_of_kubernetes_are_passed_over_with_one_warning(load, warnings):
    config = load(env={**SERVICE_LINKS, "SALTARE_ROOT_PATH": "/api"})
    assert (config.port, config.host, config.root_path) == (8000, "127.0.0.1", "/api")
    assert config.sources["port"] == "default"
    (line,) = warnings
    assert {word.rstrip(",;") for word in line.split() if word.startswith("SALTARE_")} == set(SERVICE_LINKS)


def test_service_links_do_not_hide_what_is_meant_for_us(refused, load, warnings):
    assert load(env={"SALTARE_PORT": "81"}).port == 81
    assert "SALTARE_PORT: got 'tcp'" in refused({}, {"SALTARE_PORT": "tcp"})
    assert "SALTARE_HOTS: unknown option" in refused({}, {**SERVICE_LINKS, "SALTARE_HOTS": "x"})
    assert load({"port": 82, "log_level": "error"}, SERVICE_LINKS).port == 82
    assert not warnings
