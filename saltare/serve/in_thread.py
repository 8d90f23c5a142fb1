"""A server in a thread, for tests."""

import contextlib
import threading


@contextlib.contextmanager
def in_thread(server):
    """Runs the server in a thread while the block runs, which begins once it accepts.

    An exception that ends the server is raised here.
    """
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
            yield
    finally:
        server.shutdown()
        thread.join()
        if failure:
            raise failure.pop()
