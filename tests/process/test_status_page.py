"""status_path: a page that draws the metrics, and the figures that it asks for."""

import pytest

import saltare
from exposition import scrape
from harness import unused_port
from rawsocket import Raw
from saltare.errors import ConfigError

APP = ("worker_apps:app", "--lifespan", "off", "--status-path", "/status")


class At:
    """An address, as Raw takes it."""

    def __init__(self, port):
        self.url, self.port = "http://127.0.0.1", port


@pytest.mark.parametrize("workers", ["1", "3"])
def test_the_page_and_its_figures(cli_server, workers):
    server = cli_server(*APP, "--workers", workers)
    with Raw(server) as client:
        page = client.get("/status").read_response()
        assert (page.status, page.get("content-type")) == (200, "text/html; charset=utf-8")
        assert page.get("cache-control") == "no-store"
        assert page.get("content-security-policy").startswith("default-src 'none'; ")
        assert page.body.startswith(b"<!doctype html>")
        assert page.body.rstrip().endswith(b"</html>")
        assert client.get("/pid").read_response().status == 200
        figures = scrape(client, "/status?metrics")
        assert figures["saltare_requests_total"]["GET"] == 3
        assert figures["saltare_workers"] == int(workers)
        client.send(b"POST /status HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert client.read_response().status == 405
        client.send(b"HEAD /status HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.read_response("HEAD").get("content-length") == str(len(page.body))
    assert server.stop() == 0


def test_each_name_that_the_page_reads_is_a_metric(cli_server):
    import re

    server = cli_server(*APP)
    with Raw(server) as client:
        page = client.get("/status").read_response().body.decode()
        names = set(re.findall(r"saltare_[a-z0-9_]+[a-z0-9]", page))
        names |= {f"saltare_worker_{name}" for name in re.findall(r'of\("([a-z_]+)"', page)}
        assert len(names) > 20
        assert names - {"saltare_worker"} <= scrape(client, "/status?metrics").keys()


def test_on_the_admin_address_alone(cli_server):
    port = unused_port()
    server = cli_server(*APP, "--admin-bind", f"127.0.0.1:{port}")
    with Raw(At(port)) as admin, Raw(server) as client:
        assert admin.get("/status").read_response().body.startswith(b"<!doctype html>")
        assert scrape(admin, "/status?metrics")["saltare_workers"] == 1
        assert admin.get("/metrics").read_response().status == 404
        assert client.get("/status").read_response().status == 500  # of the app, which has no such thing


async def app(scope, receive, send):
    """Never called."""


def test_bad_values():
    with pytest.raises(ConfigError, match='status_path: got .status.; accepted: a path that starts with "/"'):
        saltare.Server(app, status_path="status")
    with pytest.raises(ConfigError, match="contradict each other.*give each its own path"):
        saltare.Server(app, status_path="/x", metrics_path="/x")
    assert saltare.Server(app, status_path="/x", metrics_buckets="1,2").config.counts()
    assert not saltare.Server(app).config.counts()
