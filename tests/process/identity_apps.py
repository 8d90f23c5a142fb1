"""An app that says as what it was imported, and as what it serves."""

import json
import os
from pathlib import Path


def identity():
    mask = os.umask(0)
    os.umask(mask)
    return {
        "users": os.getresuid(),
        "groups": os.getresgid(),
        "others": sorted(os.getgroups()),
        "umask": mask,
        "proc": os.stat("/proc/self/mem").st_uid,
        "capabilities": next(
            line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff")
        ),
    }


IMPORTED = identity()


async def app(scope, receive, send):
    body = json.dumps({"pid": os.getpid(), "imported": IMPORTED, "serving": identity()}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
