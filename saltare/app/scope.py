"""The ASGI scope that each request copies."""

EXTENSIONS = (
    "http.response.trailers",
    "http.response.early_hint",
    "http.response.pathsend",
    "http.response.zerocopysend",
    "saltare.sendfile",
)


def template(root_path):
    """The scope of a server under that path; each request replaces the values that are None."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "server": None,
        "client": None,
        "scheme": "http",
        "method": None,
        "root_path": root_path,
        "path": None,
        "raw_path": None,
        "query_string": None,
        "headers": None,
        "extensions": {name: {} for name in EXTENSIONS},
        "state": None,
    }
