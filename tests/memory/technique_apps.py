"""An app that reports which techniques were used in its process."""

import gc
import json
import sys
from importlib.machinery import SourceFileLoader

FROZEN = gc.get_freeze_count()  # some Pythons freeze objects when they start
GET_CODE = type(SourceFileLoader.get_code).__name__  # while the app is imported


def found():
    return {
        "lazy-ssl": type(sys.modules.get("ssl")).__name__ == "Later",
        "shared-code": GET_CODE == "Sharing",
        "collection": gc.get_freeze_count() > FROZEN,
        "shared-heap": "saltare-heap" in open("/proc/self/maps").read(),
        "malloc-settings": "THP_enabled:\t0" in open("/proc/self/status").read(),
    }


async def app(scope, receive, send):
    assert scope["type"] == "http"
    body = json.dumps(found()).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
