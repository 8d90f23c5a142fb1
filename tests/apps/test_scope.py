"""The HTTP scope, key by key, as specified in ASGI 3.0, HTTP part 2.5."""

import socket

import pytest

from app_asgi import answer, lifespan_with


class Recorder:
    """An app that keeps the scope of every request."""

    def __init__(self):
        self.scopes = []

    async def __call__(self, scope, receive, send):
        assert scope["type"] == "http"
        self.scopes.append(scope)
        await answer(send)


@pytest.fixture
def scope_of(serve, raw):
    """The scope that an app sees for these bytes."""

    def scope_of(request, **options):
        app = Recorder()
        assert raw(serve(app, **options)).send(request).read_response().status == 200
        return app.scopes[0]

    return scope_of


def get(target, *fields):
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: test", *fields, "", ""]).encode("latin-1")


def test_every_key_has_its_type(scope_of):
    scope = scope_of(get("/items?a=1"))
    types = {
        "type": str,
        "asgi": dict,
        "http_version": str,
        "method": str,
        "scheme": str,
        "path": str,
        "raw_path": bytes,
        "query_string": bytes,
        "root_path": str,
        "headers": list,
    }
    assert {key: type(scope[key]) for key in types} == types
    assert scope["type"] == "http"
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.3"}
    assert (scope["http_version"], scope["method"], scope["scheme"]) == ("1.1", "GET", "http")


@pytest.mark.parametrize("version", ["2.3", "2.5", 2.5])
def test_the_version_of_the_specification(scope_of, version):
    scope = scope_of(get("/"), asgi_spec_version=version)
    assert scope["asgi"] == {"version": "3.0", "spec_version": str(version)}


def test_scope_is_a_plain_dict_the_app_may_change(serve, raw):
    async def app(scope, receive, send):
        assert type(scope) is dict
        fresh = "mine" not in scope and (b"x-mine", b"1") not in scope["headers"]
        scope["mine"] = True
        scope["headers"].append((b"x-mine", b"1"))
        scope["path"] = "/elsewhere"
        await answer(send, b"fresh" if fresh else b"stale")

    client = raw(serve(app, lifespan="off"))
    assert [client.get().read_response().body for _ in range(3)] == [b"fresh"] * 3


def test_extensions_are_a_dict_of_dicts(scope_of):
    extensions = scope_of(get("/")).get("extensions", {})
    assert type(extensions) is dict
    assert all(type(name) is str and type(value) is dict for name, value in extensions.items())


def test_http_1_0(scope_of):
    scope = scope_of(b"GET / HTTP/1.0\r\n\r\n")
    assert scope["http_version"] == "1.0"
    assert scope["headers"] == []


@pytest.mark.parametrize(
    "method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "M-SEARCH"]
)
def test_methods(scope_of, method):
    assert scope_of(f"{method} / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n".encode())["method"] == method


@pytest.mark.parametrize(
    ("target", "path", "raw_path", "query"),
    [
        ("/", "/", b"/", b""),
        ("/a/b", "/a/b", b"/a/b", b""),
        ("/caf%C3%A9", "/café", b"/caf%C3%A9", b""),
        ("/%E6%97%A5%E6%9C%AC?q=%E8%AA%9E", "/日本", b"/%E6%97%A5%E6%9C%AC", b"q=%E8%AA%9E"),
        ("/%F0%9F%90%8D", "/🐍", b"/%F0%9F%90%8D", b""),
        ("/a%2Fb%2fc", "/a/b/c", b"/a%2Fb%2fc", b""),
        ("/100%25", "/100%", b"/100%25", b""),
        ("/a%20b+c", "/a b+c", b"/a%20b+c", b""),
        ("/a%3Fb?c", "/a?b", b"/a%3Fb", b"c"),
        ("//a//b/", "//a//b/", b"//a//b/", b""),
        ("/a/../b/./c", "/a/../b/./c", b"/a/../b/./c", b""),
        ("/a;v=1,2/(b)", "/a;v=1,2/(b)", b"/a;v=1,2/(b)", b""),
        ("/?", "/", b"/", b""),
        ("/?a=1&b=2&a=3", "/", b"/", b"a=1&b=2&a=3"),
        ("/?a=%26+%3D?/", "/", b"/", b"a=%26+%3D?/"),
        ("http://test/x/y?z=1", "/x/y", b"/x/y", b"z=1"),
        ("http://test", "/", b"/", b""),
    ],
)
def test_target(scope_of, target, path, raw_path, query):
    scope = scope_of(get(target))
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == (path, raw_path, query)


def test_options_of_the_whole_server(scope_of):
    scope = scope_of(b"OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n")
    assert (scope["method"], scope["path"], scope["raw_path"]) == ("OPTIONS", "*", b"*")


def test_path_that_is_no_utf8_still_reaches_the_app(scope_of):
    scope = scope_of(get("/%FF%FEx"))
    assert scope["raw_path"] == b"/%FF%FEx"
    assert scope["path"].startswith("/") and scope["path"].endswith("x")


def test_headers_are_lower_cased_bytes_in_order_with_repeats(scope_of):
    sent = ["X-B: 1", "x-a: 2", "ACCEPT: */*", "X-b: 3", "Cookie: a=1", "X-Empty:", "X-Space:  \t in side \t "]
    headers = scope_of(get("/", *sent))["headers"]
    assert [tuple(pair) for pair in headers] == [
        (b"host", b"test"),
        (b"x-b", b"1"),
        (b"x-a", b"2"),
        (b"accept", b"*/*"),
        (b"x-b", b"3"),
        (b"cookie", b"a=1"),
        (b"x-empty", b""),
        (b"x-space", b"in side"),
    ]
    assert all(type(part) is bytes for pair in headers for part in pair)


def test_header_value_beyond_ascii_is_kept_as_bytes(scope_of):
    assert [b"x-name", b"caf\xe9 \xc3\xa9"] in [
        list(pair) for pair in scope_of(get("/", "X-Name: caf\xe9 \xc3\xa9"))["headers"]
    ]


def test_framing_and_hop_by_hop_headers_are_not_hidden(scope_of):
    request = b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n"
    headers = dict(scope_of(request)["headers"])
    assert headers[b"transfer-encoding"] == b"chunked"
    assert headers[b"connection"] == b"keep-alive"


def test_a_hundred_headers(scope_of):
    fields = [f"X-Header-{number}: {'v' * (number % 70)}" for number in range(100)]
    headers = scope_of(get("/", *fields))["headers"]
    assert len(headers) == 101
    assert dict(headers)[b"x-header-69"] == b"v" * 69


def test_client_and_server(serve, raw):
    app = Recorder()
    server = serve(app)
    client = raw(server)
    client.get().read_response()
    scope = app.scopes[0]
    assert tuple(scope["client"]) == client.socket.getsockname()
    assert tuple(scope["server"]) == ("127.0.0.1", server.port)
    assert [type(part) for part in (*scope["client"], *scope["server"])] == [str, int, str, int]


def test_server_is_the_address_the_client_reached(serve, raw):
    app = Recorder()
    server = serve(app, host="0.0.0.0")
    raw(server.port).get().read_response()
    assert tuple(app.scopes[0]["server"]) == ("127.0.0.1", server.port)


def test_ipv6(serve, raw):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6 on this machine: {error}")
    app = Recorder()
    server = serve(app, host="::1")
    assert server.url == f"http://[::1]:{server.port}"
    raw(server).get().read_response()
    assert (app.scopes[0]["client"][0], tuple(app.scopes[0]["server"])) == ("::1", ("::1", server.port))


def test_unix_socket(serve, raw, tmp_path):
    app = Recorder()
    path = str(tmp_path / "s")
    raw(serve(app, uds_path=path)).get().read_response()
    assert tuple(app.scopes[0]["server"]) == (path, None)
    assert app.scopes[0]["client"] is None


def test_root_path(scope_of):
    """The proxy has stripped the prefix from the target; `path` includes it again, as `root_path` says."""
    scope = scope_of(get("/items%20?a"), root_path="/api")
    assert (scope["root_path"], scope["path"], scope["query_string"]) == ("/api", "/api/items ", b"a")
    assert scope["raw_path"] in (b"/items%20", b"/api/items%20")


def test_state_is_a_shallow_copy_for_each_request(serve, raw):
    shared = []
    states = []

    async def http(scope, receive, send):
        states.append(scope["state"])
        scope["state"]["mine"] = len(states)
        scope["state"]["shared"].append(len(states))
        await answer(send)

    client = raw(serve(lifespan_with({"shared": shared, "name": "value"}, http)))
    for _ in range(3):
        client.get().read_response()
    assert [state["mine"] for state in states] == [1, 2, 3]
    assert [state["name"] for state in states] == ["value"] * 3
    assert shared == [1, 2, 3]
    assert len({id(state) for state in states}) == 3


def test_pipelined_requests_have_scopes_of_their_own(serve, raw):
    app = Recorder()
    client = raw(serve(app))
    client.send(get("/1?a", "X-A: 1") + get("/2", "X-B: 2") + get("/3?c"))
    assert [client.read_response().status for _ in range(3)] == [200] * 3
    assert [(scope["path"], scope["query_string"]) for scope in app.scopes] == [("/1", b"a"), ("/2", b""), ("/3", b"c")]
    assert [len(scope["headers"]) for scope in app.scopes] == [2, 2, 1]


def test_upgrade_to_an_unknown_protocol_is_an_ordinary_request(scope_of):
    scope = scope_of(
        get("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
    )
    assert (scope["type"], scope["http_version"]) == ("http", "1.1")
