"""Worker classes of gunicorn: `gunicorn -k saltare.workers.SaltareWorker main:app`."""

from .compat.gunicorn import SaltareWorker, UvicornH11Worker, UvicornWorker

__all__ = ["SaltareWorker", "UvicornH11Worker", "UvicornWorker"]
