"""nginx and HAProxy as reverse proxies on kept connections: nothing is lost, repeated, mixed up or truncated."""

import ast
import csv
import socket
import time

import pytest

import programs
import traffic
from rawsocket import Raw


@pytest.fixture
def upstream(request, module_cli_server, tmp_path):
    """A server, and its address in a proxy's configuration."""
    if request.param == "unix":
        server = module_cli_server("traffic_app:app", "--uds", tmp_path / "saltare.sock")
        return server, server.url
    server = module_cli_server("traffic_app:app")
    return server, f"127.0.0.1:{server.port}"


def haproxy_counts(folder):
    """HAProxy's own counters of the backend."""
    with socket.socket(socket.AF_UNIX) as admin:
        admin.connect(str(folder / "admin.sock"))
        admin.sendall(b"show stat\n")
        with admin.makefile() as answer:
            rows = list(csv.DictReader(answer.read().removeprefix("# ").splitlines()))
    return next(row for row in rows if (row["pxname"], row["svname"]) == ("behind", "one"))


def no_complaints(proxy, folder):
    if proxy == "nginx":
        assert (folder / "errors.log").read_text() == ""
    else:
        counts = haproxy_counts(folder)
        assert {name: counts[name] for name in ("econ", "eresp", "wretr", "wredis")} == dict.fromkeys(
            ("econ", "eresp", "wretr", "wredis"), "0"
        )


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("proxy", "upstream"),
    [("nginx", "tcp"), ("nginx", "unix"), ("haproxy", "tcp")],
    indirect=["upstream"],
    ids=["nginx-tcp", "nginx-unix", "haproxy-tcp"],
)
def test_traffic(proxy, upstream, tmp_path, request, record_property):
    requests = request.config.getoption("requests")
    server, address = upstream
    start = {"nginx": programs.nginx_proxy, "haproxy": programs.haproxy}[proxy]
    with start(tmp_path / proxy, address) as port:
        began = time.monotonic()
        done, sent, errors = traffic.run(port, requests)
        seconds = time.monotonic() - began
        assert not errors
        no_complaints(proxy, tmp_path / proxy)
    assert done.total() == requests // traffic.CLIENTS * traffic.CLIENTS
    assert set(done) == {kind.__name__ for kind in traffic.MIX}
    with Raw(server) as direct:
        seen, connections = ast.literal_eval(direct.get("/count").read_response().body.decode())
    del sent["left"], seen["count"]
    seen.pop("left", None)
    assert seen == sent
    assert connections < requests / 10, "they were not kept"  # on a Unix socket all addresses are None
    assert len(server.logs().splitlines()) == 1, server.logs()[:2000]  # it has logged only the start-up line
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(done.items()))
    way = "a Unix socket" if address.startswith("unix") else f"{connections:,} TCP connections"
    figures = f"{proxy} over {way}: {done.total():,} requests in {seconds:.0f} s: {kinds}"
    record_property("figures", [figures])
