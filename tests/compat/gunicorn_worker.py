"""A worker of gunicorn as programs derive it from uvicorn's."""

from saltare.workers import UvicornWorker


class Own(UvicornWorker):
    CONFIG_KWARGS = {  # noqa: RUF012
        "loop": "asyncio",
        "http": "h11",
        "root_path": "/own",
        "headers": [("x-own", "yes")],
        "timeout_keep_alive": 0,
        "lifespan": "off",
        "limit_worker_lifetime": 1,
    }
