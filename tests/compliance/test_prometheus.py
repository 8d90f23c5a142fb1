"""The metrics and the files about them in deploy/, judged by Prometheus itself."""

import contextlib
import json
import re
import shutil
import subprocess
import threading
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from exposition import parsed
from harness import unused_port, wait_until
from rawsocket import Raw

DEPLOY = Path(__file__).parents[2] / "deploy"
LOAD = (4, 250)  # clients, requests of each
METRIC = re.compile(r"\bsaltare_[a-z0-9_]+")

pytestmark = pytest.mark.skipif(not shutil.which("promtool") or not shutil.which("prometheus"), reason="no Prometheus")


@pytest.fixture
def server(cli_server):
    options = ("--workers", "4", "--metrics-path", "/metrics", "--max-keepalive-requests", "0", "--lifespan", "off")
    return cli_server("answers_app:app", *options)


def promtool(*args, text=None):
    done = subprocess.run(["promtool", *args], input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr.strip() or "SUCCESS" in done.stdout, done.stderr


def metrics(server):
    return Raw(server).get("/metrics").read_response().body.decode()


def test_the_metrics_are_those_of_a_good_citizen(server):
    load(server)
    promtool("check", "metrics", text=metrics(server))


def test_the_alerts():
    promtool("check", "rules", str(DEPLOY / "alerts.yaml"))


def expressions():
    """The queries of the dashboard, with its variables filled in, and of the alerts."""
    yaml = pytest.importorskip("yaml")
    board = json.loads((DEPLOY / "grafana.json").read_text())
    for panel in board["panels"]:
        for target in panel["targets"]:
            text = target["expr"].replace("$__rate_interval", "1m")
            yield text.replace("$job", ".*").replace("$instance", ".*")
    for group in yaml.safe_load((DEPLOY / "alerts.yaml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["expr"]


def test_what_they_ask_for_is_there(server):
    there = {re.sub("_(sum|count)$", "", name) for name in parsed(metrics(server))}
    asked = {name for text in expressions() for name in METRIC.findall(text)}
    assert asked - there == set()
    assert there - asked == {"saltare_request_duration_seconds", "saltare_request_queue_seconds"}  # only their buckets


def load(server):
    """Four clients; returns how many responses they have received."""
    received = []

    def run():
        client = Raw(server)
        for _ in range(LOAD[1]):
            received.append(client.get("/length").read_response().status)
        client.socket.close()

    clients = [threading.Thread(target=run) for _ in range(LOAD[0])]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    return len(received)


@contextlib.contextmanager
def prometheus(folder, target):
    """One that scrapes the target each 200 ms; gives a function that asks it a query."""
    (folder / "prometheus.yml").write_text(
        "scrape_configs: [{job_name: saltare, scrape_interval: 200ms, scrape_timeout: 200ms, "
        f"static_configs: [{{targets: ['127.0.0.1:{target}']}}]}}]\nrule_files: ['{DEPLOY}/alerts.yaml']\n"
    )
    port = unused_port()
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stderr=subprocess.DEVNULL)

    def ask(query):
        at = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        with urllib.request.urlopen(at, timeout=30) as answer:
            return json.load(answer)["data"]["result"]

    def is_up():
        try:
            return bool(ask("saltare_workers"))
        except OSError:
            return False

    try:
        wait_until(is_up)
        yield ask
    finally:
        process.terminate()
        process.wait(30)


def test_the_sums_are_what_the_clients_have_counted(server, tmp_path):
    with prometheus(tmp_path, server.port) as ask:
        sent = load(server)
        assert sent == LOAD[0] * LOAD[1]
        wait_until(lambda: value(ask("saltare_request_duration_seconds_count")) >= sent)
        assert value(ask("saltare_request_duration_seconds_count")) == sent
        assert value(ask("sum(saltare_worker_requests_total)")) >= sent
        assert value(ask("count(saltare_worker_requests_total)")) == value(ask("saltare_workers")) == 4
        for text in expressions():
            ask(text)  # raises for a query that Prometheus cannot run


def value(result):
    (one,) = result
    return float(one["value"][1])
