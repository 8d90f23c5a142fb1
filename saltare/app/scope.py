"""The ASGI scope that each request copies."""

EXTENSIONS = (
    "http.response.trailers",
    "http.response.early_hint",
    "http.response.zerocopysend",
    "saltare.sendfile",
)
# Middleware that compresses does not know this message: it drops the file, or sends it as it is.
PATHSEND = "http.response.pathsend"

# Below 2.4, frameworks listen for the disconnect of a client, so that a silent stream ends with it.
SPEC_VERSIONS = {"2.3": ("2.3", "2.4"), "2.5": ("2.5", "2.5")}  # asgi_spec_version -> of http, of websocket
IGNORED_SENDS = {"2.3": 63, "2.5": 0}  # messages to a client that has gone, before send() raises
IGNORED_AT_STOP = 7  # the most while the server stops, which would otherwise wait for an endless stream to nobody


def template(config):
    """The scope of a request; each replaces the values that are None."""
    return {
        "type": "http",
        "asgi": asgi(config, 0),
        "http_version": "1.1",
        "server": None,
        "client": None,
        "scheme": config.scheme(),
        "method": None,
        "root_path": config.root_path,
        "path": None,
        "raw_path": None,
        "query_string": None,
        "headers": None,
        "extensions": extensions(config.pathsend != "off"),
        "state": None,
    }


def websocket(config):
    """What differs in the scope of a websocket; the core knows its type."""
    return {"asgi": asgi(config, 1), "scheme": "wss" if config.ssl_certfile else "ws"}


def coded_extensions(config):
    """The extensions of a request that accepts a compressed response."""
    return extensions(config.pathsend == "on")


def extensions(pathsend):
    return {name: {} for name in (*EXTENSIONS, *[PATHSEND] * pathsend)}


def asgi(config, protocol):
    return {"version": "3.0", "spec_version": SPEC_VERSIONS[config.asgi_spec_version][protocol]}
