"""A server in a thread, for tests: per process."""

import contextlib
import threading


@contextlib.contextmanager
def running(app, **options):
    """Serves `app` in a thread while the block runs; gives the Server once it accepts.

    What ends its start, or the server later, is raised here.
    """
    from .server import Server

    server = Server(app, **options)
    decided = threading.Event()
    failure = []

    def serve():
        try:
            server.run()
        except BaseException as error:
            failure.append(error)
        finally:
            decided.set()

    server.after_start = decided.set
    thread = threading.Thread(target=serve, name="saltare", daemon=True)
    thread.start()
    decided.wait()
    try:
        if not failure:
            yield server
    finally:
        server.shutdown()
        thread.join()
        if failure:
            raise failure.pop()
