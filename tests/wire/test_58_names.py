"""What a request is called: its id, from a proxy that is believed or new, and its place in a trace."""

import ast
import json
import re

import pytest

import saltare
from frames import FIELDS, Peer
from harness import wait_until
from saltare.errors import ConfigError
from wire_apps import QUIET, answer, get, post, request

ID = {**QUIET, "request_id_header": "X-Request-ID"}
TRACE = {**QUIET, "traceparent_propagation": True}
NEW_ID = re.compile(r"[0-9a-f]{32}")
NEW_TRACE = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01")
SENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
KEYS = ("x-request-id", "traceparent", "tracestate")


async def names(scope, receive, send):
    """Responds with what the scope has of names, the state and the fields."""
    told = {key: scope[key] for key in KEYS if key in scope}
    told |= {"state": dict(scope["state"]), "headers": scope["headers"], "path": scope["path"]}
    if scope["type"] == "websocket":
        await receive()
        if scope["path"] == "/declined":
            return await send({"type": "websocket.close"})
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": repr(told)})
        return await send({"type": "websocket.close"})
    if scope["path"] == "/fails":
        raise RuntimeError("on purpose")
    headers = [(b"X-Request-Id", b"of the app"), (b"TraceParent", b"of the app")] if scope["path"] == "/own" else []
    await answer(send, repr(told).encode(), *headers)


def ask(client, *fields, target="/"):
    response = client.get(target, *fields).read_response()
    return response, ast.literal_eval(response.body.decode())


# ---- ids ----


def test_a_new_id(serve_by, raw):
    client = raw(serve_by(names, **ID))
    seen = set()
    for _ in range(100):
        response, told = ask(client)
        assert NEW_ID.fullmatch(told["x-request-id"])
        assert response.all("x-request-id") == [told["x-request-id"]] == [told["state"]["request_id"]]
        assert b"\r\nX-Request-ID: " in response.head
        assert told["headers"] == [(b"host", b"test")]
        seen.add(told["x-request-id"])
    assert len(seen) == 100


def test_nothing_without_the_options(serve_by, raw):
    response, told = ask(raw(serve_by(names, **QUIET)), "X-Request-ID: 7", f"traceparent: {SENT}")
    assert not told.keys() & {*KEYS} and told["state"] == {}
    assert [name for name, _ in response.headers] == ["content-length"]


@pytest.mark.parametrize(
    "sent",
    ["7", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "Root=1-67891233-abcdef;Sampled=1", "a/b+c==", "x" * 128],
    ids=["short", "uuid", "aws", "base64", "longest"],
)
def test_an_id_of_a_proxy(serve_by, raw, sent):
    response, told = ask(raw(serve_by(names, **ID)), "Accept: */*", f"x-REQUEST-id: {sent}")
    assert told["x-request-id"] == told["state"]["request_id"] == response.get("x-request-id") == sent
    assert (b"x-request-id", sent.encode()) in told["headers"]


def test_the_last_of_several_is_that_of_the_nearest_proxy(serve, raw):
    _, told = ask(raw(serve(names, **ID)), "X-Request-ID: of-a-client", "X-Request-ID: of-the-proxy")
    assert told["x-request-id"] == "of-the-proxy"


@pytest.mark.parametrize("sent", ["", "a b", 'a"b', "a,b", "<b>", "\xe9", "x" * 129], ids=repr)
def test_ids_that_are_replaced(serve, raw, sent):
    response, told = ask(raw(serve(names, **ID)), f"X-Request-ID: {sent}")
    assert NEW_ID.fullmatch(told["x-request-id"]) and response.get("x-request-id") == told["x-request-id"]
    assert (b"x-request-id", sent.encode("latin-1")) in told["headers"]  # what the client sent stays as it is


@pytest.mark.parametrize(
    "options", [{"proxy_headers": False}, {"forwarded_allow_ips": "10.0.0.0/8,unix:"}], ids=["off", "elsewhere"]
)
def test_an_id_of_somebody_who_is_not_believed(serve_by, raw, options):
    _, told = ask(raw(serve_by(names, **ID, **options)), "X-Request-ID: forged")
    assert NEW_ID.fullmatch(told["x-request-id"])


def test_a_name_of_your_own(serve, raw):
    client = raw(serve(names, **QUIET, request_id_header="X-Correlation-ID"))
    response, told = ask(client, "X-Correlation-ID: mine", "X-Request-ID: other")
    assert told["x-request-id"] == response.get("x-correlation-id") == "mine"
    assert response.get("x-request-id") is None


def test_the_field_of_the_app_counts(serve_by, raw):
    client = raw(serve_by(names, **ID, traceparent_propagation=True))
    response, _ = ask(client, target="/own")
    assert response.all("x-request-id") == response.all("traceparent") == ["of the app"]


def test_responses_of_the_server(serve_by, raw):
    server = serve_by(names, **ID, max_request_body=5)
    assert raw(server).get("/fails", "X-Request-ID: 7").read_response().get("x-request-id") == "7"
    refused = raw(server).send(post(b"too long", "X-Request-ID: 8")).read_response()
    assert (refused.status, refused.get("x-request-id")) == (413, "8")
    malformed = raw(server).send(b"nonsense\r\n\r\n").read_response()
    assert (malformed.status, malformed.get("x-request-id")) == (400, None)


def test_websockets(serve_by, raw):
    server = serve_by(names, **ID, traceparent_propagation=True)
    with Peer(server, "/", "X-Request-ID: 7", f"traceparent: {SENT}") as peer:
        told = ast.literal_eval(peer.read_frame().payload.decode())
    assert (told["x-request-id"], told["traceparent"], told["state"]) == ("7", SENT, {"request_id": "7"})
    handshake = get("/", *FIELDS, "X-Request-ID: 8", f"traceparent: {SENT}")
    accepted = raw(server).send(handshake).read_response()
    assert (accepted.status, accepted.get("x-request-id"), accepted.get("traceparent")) == (101, "8", SENT)
    declined = raw(server).send(handshake.replace(b"GET /", b"GET /declined")).read_response()
    assert (declined.status, declined.get("x-request-id")) == (403, "8")


def test_pipelined_requests_keep_their_own(serve_by, raw):
    client = raw(serve_by(names, **ID))
    client.send(b"".join(get(f"/a%20{n}", f"X-Request-ID: id-{n}") for n in range(50)))
    for n in range(50):
        response = client.read_response()
        told = ast.literal_eval(response.body.decode())
        assert (told["path"], told["x-request-id"], response.get("x-request-id")) == (f"/a {n}", f"id-{n}", f"id-{n}")


def test_a_request_without_fields(serve, raw):
    response = raw(serve(names, **ID, traceparent_propagation=True)).send(b"GET /a%41 HTTP/1.0\r\n\r\n").read_response()
    told = ast.literal_eval(response.body.decode())
    assert (told["headers"], told["path"]) == ([], "/aA")
    assert NEW_ID.fullmatch(told["x-request-id"]) and NEW_TRACE.fullmatch(told["traceparent"])


def test_a_request_with_all_fields_that_fit(serve, raw):
    fields = [f"a{n}: {n}" for n in range(7)]
    response, told = ask(raw(serve(names, **ID, traceparent_propagation=True, max_request_fields=8)), *fields)
    assert len(told["headers"]) == 8
    assert response.get("x-request-id") == told["x-request-id"] and response.get("traceparent") == told["traceparent"]


# ---- traces ----


def test_a_new_trace(serve_by, raw):
    client = raw(serve_by(names, **TRACE))
    response, told = ask(client)
    assert NEW_TRACE.fullmatch(told["traceparent"]) and "tracestate" not in told
    assert response.all("traceparent") == [told["traceparent"]]
    assert told["headers"] == [(b"host", b"test")] and told["state"] == {}
    assert ask(client)[1]["traceparent"] != told["traceparent"]


def test_a_trace_is_passed_on(serve_by, raw):
    """Whoever sends it: an app's own tracing would take it too."""
    client = raw(serve_by(names, **TRACE, proxy_headers=False))
    response, told = ask(client, "tracestate: a=1,b=2", f"TraceParent: {SENT}")
    assert (told["traceparent"], told["tracestate"], response.get("traceparent")) == (SENT, "a=1,b=2", SENT)
    assert (b"traceparent", SENT.encode()) in told["headers"]
    later = "cc" + SENT[2:] + "-more"
    response, told = ask(client, f"traceparent: {later}")
    assert (told["traceparent"], response.get("traceparent")) == (SENT, SENT)


@pytest.mark.parametrize(
    "fields",
    [
        ["traceparent: nonsense"],
        [f"traceparent: {SENT.upper()}"],
        [f"traceparent: 00-{'0' * 32}-{'1' * 16}-01"],
        [f"traceparent: {SENT}"] * 2,
    ],
    ids=["nonsense", "upper case", "zeros", "two"],
)
def test_a_malformed_trace_is_replaced(serve, raw, fields):
    response, told = ask(raw(serve(names, **TRACE)), *fields, "tracestate: a=1")
    assert NEW_TRACE.fullmatch(told["traceparent"]) and "tracestate" not in told
    assert response.get("traceparent") == told["traceparent"]
    assert SENT[3:] not in told["traceparent"]


def test_several_lines_of_tracestate_are_left_to_the_app(serve, raw):
    _, told = ask(raw(serve(names, **TRACE)), f"traceparent: {SENT}", "tracestate: a=1", "tracestate: b=2")
    assert told["traceparent"] == SENT and "tracestate" not in told
    assert [value for name, value in told["headers"] if name == b"tracestate"] == [b"a=1", b"b=2"]


# ---- the access log ----


def test_the_access_log(serve_by, raw, tmp_path):
    path = tmp_path / "log"
    options = {"access_log_path": path, "access_log_format": "json:request_id,trace_id,status"}
    server = serve_by(names, **ID, traceparent_propagation=True, max_request_body=5, **options)
    first, _ = ask(raw(server))
    raw(server).get("/", "X-Request-ID: 7", f"traceparent: {SENT}").read_response()
    refused = raw(server).send(request("POST", "/", "Content-Length: 9")).read_response()
    raw(server).send(b"nonsense\r\n\r\n").read_all()
    wait_until(lambda: path.exists() and path.read_text().count("\n") == 4)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"request_id": first.get("x-request-id"), "trace_id": first.get("traceparent")[3:35], "status": 200},
        {"request_id": "7", "trace_id": SENT[3:35], "status": 200},
        {"request_id": refused.get("x-request-id"), "trace_id": refused.get("traceparent")[3:35], "status": 413},
        {"request_id": None, "status": 400},
    ]


def test_the_access_log_of_a_forged_id(serve, raw, tmp_path):
    path = tmp_path / "log"
    options = {"access_log_path": path, "access_log_format": "{request_id} {trace_id}", "proxy_headers": False}
    response, _ = ask(raw(serve(names, **ID, **options)), "X-Request-ID: forged")
    wait_until(lambda: path.exists() and path.read_text() == f"{response.get('x-request-id')} -\n")


# ---- values ----


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("X-Request-ID: 7", "the name alone, without a colon and a value"),
        ("X Request", "the name is not a token"),
        ("X-\xe9", "the name is not a token"),
        ("Content-Length", "Content-Length has a meaning of its own"),
        ("date", "date has a meaning of its own"),
        (True, "the name of a header field, such as X-Request-ID"),
    ],
)
def test_names_that_are_refused(value, why):
    with pytest.raises(ConfigError, match=f"request_id_header.*{why}"):
        saltare.Server(names, request_id_header=value)


def test_a_field_that_is_the_same_for_all():
    with pytest.raises(ConfigError, match="request_id_header and header contradict each other"):
        saltare.Server(names, request_id_header="X-Request-ID", header=["x-request-id: 7"])
