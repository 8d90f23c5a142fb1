"""How a server stops: requests in progress are finished, within limits, and the exit code says whether they were."""

import os
import signal
import socket
import time

import pytest

GET = b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n"
SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


@pytest.fixture
def drained(cli_server):
    """Starts the app of drain_apps with these options."""

    def start(*args, loop="asyncio", **env):
        if loop == "uvloop":
            pytest.importorskip("uvloop")
        return cli_server("drain_apps:app", "--loop", loop, *args, env=env)

    return start


def ask(raw, server, what, until=b"begun "):
    """A client whose request is in progress."""
    client = raw(server).send(GET % what.encode())
    if until:
        client.read_until(until)
    return client


def is_refused(server):
    try:
        socket.create_connection(("127.0.0.1", server.port), 5).close()
    except (ConnectionRefusedError, ConnectionResetError):  # reset: it was in the backlog when the listener closed
        return True
    return False


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@SIGNALS
@LOOPS
def test_nothing_to_wait_for(drained, raw, number, loop):
    server = drained(loop=loop)
    idle, silent = ask(raw, server, "quick", b"quick"), raw(server)
    assert server.stop(number) == 0
    assert idle.read_all() == silent.read_all() == b""
    assert "lifespan shutdown begins" in server.logs()
    assert "Traceback" not in server.logs()


@SIGNALS
@LOOPS
@pytest.mark.parametrize("what", ["slow", "blocking"])
def test_an_answer_in_progress_is_finished(drained, raw, number, what, loop):
    server = drained(loop=loop)
    client = ask(raw, server, what)
    server.popen.send_signal(number)
    assert client.read_all().endswith(b"5\r\nended\r\n0\r\n\r\n")
    assert server.wait() == 0


@LOOPS
def test_an_answer_begun_later_says_that_it_is_the_last(drained, raw, loop):
    server = drained(loop=loop)
    client = ask(raw, server, "silent", until=None)
    server.wait_for_log("silent begins")
    server.popen.send_signal(signal.SIGTERM)
    reply = client.read_response()
    assert (reply.status, reply.get("connection"), reply.body) == (200, "close", b"ended")
    assert server.wait() == 0


@LOOPS
def test_a_stream_is_sent_to_its_end(drained, raw, loop):
    server = drained(loop=loop)
    client = ask(raw, server, "stream", b"3\n\r\n")
    server.popen.send_signal(signal.SIGTERM)
    assert client.read_all().endswith(b"49\n\r\n0\r\n\r\n")
    assert server.wait() == 0


def test_an_upload_goes_on(drained, raw):
    server = drained()
    client = raw(server).send(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfirst")
    server.wait_for_log("upload begins")
    server.popen.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    assert client.send(b"then!").read_response().body == b"10"
    assert server.wait() == 0


def test_half_a_head_may_be_completed(drained, raw):
    server = drained()
    whole = GET % b"quick"
    client = raw(server).send(whole[:10])
    ask(raw, server, "quick", b"quick")  # so the server has read the half request by now
    server.popen.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    assert client.send(whole[10:]).read_response().get("connection") == "close"
    assert server.wait() == 0


@LOOPS
@pytest.mark.parametrize("delay", [(), ("--drain-delay", "0.2")], ids=["at once", "after a delay"])
def test_event_streams_are_told_and_end_complete(drained, raw, loop, delay):
    server = drained(*delay, loop=loop)
    clients = [raw(server).send(GET % b"events") for _ in range(100)]
    for client in clients:
        client.read_until(b"data: x\n\n")
    server.popen.send_signal(signal.SIGTERM)
    for client in clients:
        assert client.read_all().endswith(b"data: x\n\n\r\n0\r\n\r\n")
    assert server.wait() == 0
    assert "ERROR" not in server.logs()


@LOOPS
def test_work_after_the_answer_is_waited_for(drained, raw, loop):
    """Without a busy loop, though no connection is left."""
    server = drained(loop=loop)
    ask(raw, server, "background", b"quick")
    before = cpu_seconds(server.pid)
    assert server.stop() == 0
    log = server.logs()
    assert log.index("background ends") < log.index("lifespan shutdown begins")
    assert before < 60


def test_waiting_for_the_app_costs_no_cpu(drained, raw):
    """The last connection is gone and the app's shutdown takes a while: the server sleeps."""
    server = drained("--shutdown-timeout", "60", SHUTDOWN="hang")
    ask(raw, server, "quick", b"quick")
    server.popen.send_signal(signal.SIGTERM)
    server.wait_for_log("shutdown hangs")
    before = cpu_seconds(server.pid)
    time.sleep(1)
    assert cpu_seconds(server.pid) - before < 0.5  # a busy loop would have used all of it
    server.popen.send_signal(signal.SIGTERM)
    assert server.wait() == 1


def test_nobody_is_accepted_meanwhile(drained, raw):
    server = drained()
    client = ask(raw, server, "slow")
    server.popen.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 30
    while not is_refused(server):
        assert time.monotonic() < deadline
    assert client.read_all().endswith(b"ended\r\n0\r\n\r\n")
    assert server.wait() == 0


@SIGNALS
@LOOPS
@pytest.mark.parametrize("what", ["endless", "unstoppable", "thread"])
def test_a_second_signal_ends_it_at_once(drained, raw, number, what, loop):
    server = drained(loop=loop)
    client = ask(raw, server, what)
    server.popen.send_signal(number)
    deadline = time.monotonic() + 30
    while not is_refused(server):
        assert time.monotonic() < deadline
    assert server.popen.poll() is None
    server.popen.send_signal(number)
    assert server.wait() == 1
    assert b"0\r\n\r\n" not in client.read_all()
    server.wait_for_log("stop requested twice")
    if what == "endless":
        server.wait_for_log("endless was cancelled")


@SIGNALS
@pytest.mark.parametrize("workers", [1, 2])
def test_a_signal_to_it_and_to_its_group_is_one(cli_server, raw, number, workers):
    """As timeout(1) sends it, or systemd to a whole control group; the sender may be descheduled in between."""
    server = cli_server("drain_apps:app", "--workers", workers, start_new_session=True)
    client = ask(raw, server, "slow")
    server.popen.send_signal(number)
    time.sleep(0.002)
    os.killpg(server.pid, number)
    assert client.read_all().endswith(b"ended\r\n0\r\n\r\n")
    assert server.wait() == 0
    assert "stop requested twice" not in server.logs()
    assert " ERROR " not in server.logs()


@LOOPS
@pytest.mark.parametrize("what", ["endless", "unstoppable", "thread"])
def test_the_shutdown_timeout(drained, raw, what, loop):
    server = drained("--shutdown-timeout", "0.3", loop=loop)
    client = ask(raw, server, what)
    assert server.stop() == 1
    assert b"0\r\n\r\n" not in client.read_all()
    server.wait_for_log("shutdown_timeout of 0.3 s is over")


@LOOPS
def test_connections_that_ask_for_nothing_are_no_reason_to_complain(drained, raw, loop):
    """A connection that had a response a moment ago gets longer than this."""
    server = drained("--shutdown-timeout", "0.1", loop=loop)
    idle = ask(raw, server, "quick", b"quick")
    assert server.stop() == 0
    assert idle.read_all() == b"" and "is over" not in server.logs()


def test_a_client_that_reads_slowly_has_its_answer(drained, raw):
    """The data is in the kernel's buffers, or waits in the server's."""
    server = drained()
    clients = [ask(raw, server, "stream", b"\r\n\r\n") for _ in range(10)]
    server.popen.send_signal(signal.SIGTERM)
    for client in clients:
        assert client.read_all().endswith(b"49\n\r\n0\r\n\r\n")
    assert server.wait() == 0


def test_a_hundred_servers_in_turn_end_well(serve, raw):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    for _ in range(100):
        server = serve(app, lifespan="off")
        with raw(server) as client:  # and gone before the stop, which waits half a second for those that stay
            assert client.send(GET % b"").read_response().status == 200
        server.stop()
        assert is_refused(server)
