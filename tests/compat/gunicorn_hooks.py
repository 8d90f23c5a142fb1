"""A configuration of gunicorn with all of its hooks, each of which leaves a line."""

from gunicorn_apps import report


def on_starting(server):
    report("on_starting")


def on_reload(server):
    report("on_reload")


def when_ready(server):
    report("when_ready")


def pre_fork(server, worker):
    report("pre_fork")


def post_fork(server, worker):
    report("post_fork")


def post_worker_init(worker):
    report("post_worker_init")


def worker_int(worker):
    report("worker_int")


def worker_abort(worker):
    report("worker_abort")


def pre_exec(server):
    report("pre_exec")


def pre_request(worker, req):
    report("pre_request")


def post_request(worker, req, environ, resp):
    report("post_request")


def child_exit(server, worker):
    report("child_exit")


def worker_exit(server, worker):
    report("worker_exit")


def nworkers_changed(server, new_value, old_value):
    report(f"nworkers_changed {old_value} {new_value}")


def on_exit(server):
    report("on_exit")
