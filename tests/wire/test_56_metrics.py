"""Metrics of one process, as a scraper reads them."""

import asyncio
import os
import time

import pytest

import saltare
from exposition import scrape
from frames import Peer, text
from harness import wait_until
from saltare.errors import ConfigError
from wire_apps import answer, body_of, get, post, request, until_gone

PATH = {"metrics_path": "/metrics", "max_keepalive_requests": 0, "lifespan": "off"}


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
        return
    await body_of(receive)
    what, _, argument = scope["path"][1:].partition("/")
    if what == "status":
        await answer(send, b"x", status=int(argument))
    elif what == "fail":
        raise RuntimeError("on purpose")
    elif what == "hold":
        await until_gone(receive)
    elif what == "block":
        time.sleep(float(argument))
        await answer(send)
    else:
        await asyncio.sleep(float(argument or 0))
        await answer(send, b"y" * 10_000)


def test_what_is_counted(serve_by, raw):
    server = serve_by(app, **PATH)
    client, scraper = raw(server), raw(server)
    before = scrape(scraper)
    assert before["saltare_requests_total"] == dict.fromkeys(before["saltare_requests_total"], 0) | {"GET": 1}
    for message in (get("/status/200"), get("/status/404"), post(b"abc"), request("PURGE", "/status/302")):
        client.send(message).read_response()
    raw(server).send(get("/fail")).read_response()
    raw(server).send(b"nonsense\r\n\r\n").read_all()
    after = scrape(scraper)
    expected = dict.fromkeys(before["saltare_requests_total"], 0) | {"GET": 5, "POST": 1, "other": 1}
    assert after["saltare_requests_total"] == expected
    assert after["saltare_responses_total"] == {"1xx": 0, "2xx": 3, "3xx": 1, "4xx": 2, "5xx": 1}
    assert (after["saltare_responses_4xx_total"], after["saltare_responses_5xx_total"]) == (2, 1)
    assert after["saltare_request_duration_seconds_count"] == 5
    assert after["saltare_request_duration_seconds_bucket"]["+Inf"] == 5
    assert 0 < after["saltare_request_duration_seconds_sum"]
    assert after["saltare_refusals_total"]["malformed"] == 1
    assert after["saltare_bytes_sent_total"] - before["saltare_bytes_sent_total"] > 10_000
    assert after["saltare_connections_accepted_total"] == 4
    assert after["saltare_workers"] == 1
    assert after["saltare_health_state"] == after["saltare_worker_restarts_total"] == 0


def test_what_is_open_now(serve_by, raw):
    server = serve_by(app, **PATH)
    slow, scraper = raw(server).get("/hold"), raw(server)
    wait_until(
        lambda: (now := scrape(scraper))["saltare_in_flight_requests"] == 1 and now["saltare_open_connections"] == 2
    )
    assert scrape(scraper)["saltare_worker_in_flight_requests"] == {"1": 1}
    slow.close()
    wait_until(
        lambda: (now := scrape(scraper))["saltare_in_flight_requests"] == 0 and now["saltare_open_connections"] == 1
    )
    assert sum(scrape(scraper)["saltare_connections_closed_total"].values()) == 1


def test_websockets(serve_by, raw):
    server = serve_by(app, **PATH)
    scraper = raw(server)
    with Peer(server) as peer:
        for _ in range(3):
            peer.send(text("hello"))
            peer.read_frame()
        wait_until(lambda: scrape(scraper)["saltare_open_websockets"] == 1)
        now = scrape(scraper)
        assert now["saltare_websockets_total"] == 1
        assert now["saltare_websocket_messages_total"] == {"received": 3, "sent": 3}
        assert now["saltare_responses_total"]["1xx"] == 1
        assert now["saltare_request_duration_seconds_count"] == 0
    wait_until(lambda: scrape(scraper)["saltare_open_websockets"] == 0)


def test_buckets(serve, raw):
    server = serve(app, **PATH, metrics_buckets=["1ms", "100ms", 600])
    client = raw(server)
    client.get("/wait/0.2").read_response()
    now = scrape(client)
    assert list(now["saltare_request_duration_seconds_bucket"].items()) == [
        ("0.001", 0),
        ("0.1", 0),
        ("600", 1),
        ("+Inf", 1),
    ]
    assert now["saltare_request_duration_seconds_sum"] >= 0.2


def test_time_in_a_queue(serve, raw):
    server = serve(app, **PATH)
    client = raw(server)
    now = time.time()
    for start in (
        f"t={now - 100:.3f}",
        f"{(now - 100) * 1000:.0f}",
        f"t={(now - 100) * 1e6:.0f}",
        "nonsense",
        "t=5",
        f"{now - 90_000}",
    ):
        client.get("/", f"X-Request-Start: {start}").read_response()
    client.get("/", f"X-Request-Start: t={now + 1000:.3f}").read_response()  # a clock that is ahead
    seen = scrape(client)
    assert seen["saltare_request_queue_seconds_count"] == 4
    assert 299 < seen["saltare_request_queue_seconds_sum"] < 600
    other = raw(serve(app, **PATH, forwarded_allow_ips="10.0.0.1"))
    other.get("/", f"X-Request-Start: t={now:.3f}").read_response()
    assert scrape(other)["saltare_request_queue_seconds_count"] == 0


def test_a_stall_of_the_app(serve, raw):
    client = raw(serve(app, **PATH))
    assert scrape(client)["saltare_app_stalls_total"] == 0
    client.get("/block/0.3").read_response()
    now = scrape(client)
    assert now["saltare_app_stalls_total"] >= 1
    assert 0.3 <= now["saltare_app_longest_turn_seconds"] == now["saltare_worker_longest_turn_seconds"]["1"]
    assert now["saltare_app_busy_seconds_total"] >= now["saltare_app_longest_turn_seconds"]


def test_memory(serve, raw):
    now = scrape(raw(serve(app, **PATH)))
    with open("/proc/self/statm") as file:
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert resident / 2 < now["saltare_process_resident_memory_bytes"] < resident * 2
    assert 0 < now["saltare_process_private_memory_bytes"] <= now["saltare_process_resident_memory_bytes"]


def test_lost_lines_of_the_access_log(serve_by, raw):
    client = raw(serve_by(app, **PATH, access_log_path="/dev/full"))
    assert scrape(client)["saltare_access_log_lost_lines_total"] == 0
    for _ in range(3):
        client.get("/").read_response()
    wait_until(lambda: scrape(client)["saltare_access_log_lost_lines_total"] == 3)


def test_limits_are_told_by_reason(serve, raw):
    server = serve(app, **PATH, max_request_body=5, max_request_line=300)
    raw(server).send(post(b"too long")).read_all()
    raw(server).send(get("/" + "x" * 400)).read_all()
    seen = scrape(raw(server))["saltare_refusals_total"]
    assert (seen["max_request_body"], seen["max_request_line"], seen["malformed"]) == (1, 1, 0)


def test_connections_that_are_refused(serve, raw):
    server = serve(app, **PATH, max_concurrent_connections=1)
    busy = raw(server).get("/hold")

    def answered():
        try:
            return scrape(raw(server))
        except (OSError, EOFError):
            return None  # another connection is open, and not idle

    wait_until(lambda: not answered())
    busy.close()
    wait_until(answered)
    assert answered()["saltare_refusals_total"]["max_concurrent_connections"] >= 1


@pytest.mark.parametrize(
    "buckets", ["0", "2,1", "1,1", ",".join(map(str, range(1, 23)))], ids=["zero", "order", "twice", "many"]
)
def test_buckets_that_are_refused(buckets):
    with pytest.raises(ConfigError, match="metrics_buckets.*at most 20 times above 0"):
        saltare.Server(app, **PATH, metrics_buckets=buckets)


def test_buckets_without_metrics():
    with pytest.raises(ConfigError, match="metrics_buckets.*there is no metrics_path"):
        saltare.Server(app, metrics_buckets="1,2")


def test_one_path_for_two_things():
    with pytest.raises(ConfigError, match="contradict each other"):
        saltare.Server(app, **PATH, health_path="/metrics")
