"""A master in which any system call can be made to fail once.

A program: `faulty_master.py FOLDER OPTIONS`, with OPTIONS of saltare.run() as JSON. The folder contains `plan`, JSON:

    {"id": 7, "phase": "armed", "call": "os.fork", "nth": 2}

On the signal ARM it reads the plan and writes `counts-ID`: how often each call was made since the last time. From then
on the nth call fails, with "times" that many in a row, and `fired-ID` is written. In phase "start" or "successor" such a program reads it at once.
`counts-exec` and `counts-end` are written before the program execs another one, or ends.

The list of calls is read from the source of saltare's modules, so that a new call is not forgotten.
"""

import ast
import errno
import inspect
import json
import os
import signal
import socket
import sys
from pathlib import Path

ARM = signal.SIGRTMIN + 5
ALIASES = {"raw_signal": "_signal"}
MODULES = ("os", "select", "signal", "raw_signal", "_process", "_memory", "socket")
# Not system calls, or ones that cannot fail; the last ones end the process or identify it.
HARMLESS = {
    "os.fspath", "os.strerror", "os.waitstatus_to_exitcode", "os._exit", "os.getpid", "os.getppid", "os.access",
    "signal.getsignal", "_signal.getsignal", "os.sched_getaffinity", "os.fstat", "os.lstat", "os.stat",
    "os.register_at_fork", "os.umask", "os.getresuid", "os.getresgid", "os.geteuid", "os.getegid",
}  # fmt: skip
# Calls of workers, of the app's import, or of a single process.
NOT_OF_A_MASTER = {
    "_core", "serve.server", "serve.selector", "serve.signals", "app.lifespan", "app.failures", "restart.renewal", "app.importer", "serve.guest", "memory.lazy_ssl", "memory.park",
    "memory.start_up", "memory.shared_code", "app.first_request", "log", "options.table", "options.sources", "options.values", "options.net_values", "toml",
}  # fmt: skip
NUMBERS = {
    **dict.fromkeys(("pipe2", "open", "memfd_create", "eventfd", "dup", "pidfd_open"), errno.EMFILE),
    "fork": errno.EAGAIN,
    "kill": errno.EPERM,
    "close": errno.EIO,
}
METHODS = ("bind", "listen", "setsockopt", "setblocking", "close")  # of sockets

real_getpid, real_kill = os.getpid, os.kill


class Faults:
    def __init__(self, folder):
        self.folder, self.pid = folder, real_getpid()
        self.plan, self.counts = {}, {}

    def arm(self, *_):
        plan = json.loads((self.folder / "plan").read_text())
        self.tell(plan["id"])
        self.plan, self.counts = plan, {}

    def tell(self, when):
        self.write(f"counts-{when}", json.dumps(self.counts))

    def write(self, name, text):
        (self.folder / "new").write_text(text)
        (self.folder / "new").rename(self.folder / name)

    def called(self, name):
        """Whether this call must fail."""
        if real_getpid() != self.pid:
            return False
        self.counts[name] = self.counts.get(name, 0) + 1
        if name == "os.execve":
            self.tell("exec")
            signal.pthread_sigmask(signal.SIG_BLOCK, [ARM])  # the signal stays pending for the new program
        if name != self.plan.get("call") or self.counts[name] < self.plan["nth"]:
            return False
        self.plan["times"] = self.plan.get("times", 1) - 1
        fired = f"fired-{self.plan['id']}"
        if not self.plan["times"]:
            self.plan = {}
            self.write(fired, name)
        return True

    def failing(self, name, call):
        number = NUMBERS.get(name.rpartition(".")[2], errno.ENOMEM)

        def made(*args, **kwargs):
            if not self.called(name):
                return call(*args, **kwargs)
            if name.endswith(".close"):
                call(*args, **kwargs)  # close(2) always closes
            raise OSError(number, os.strerror(number))

        return made

    def install(self):
        for name in calls():
            module, _, attribute = name.partition(".")
            owner = sys.modules.get(module) or sys.modules[f"saltare.{module}"]
            if name == "select.poll":
                owner.poll = self.failing_poll(owner.poll)
            else:
                setattr(owner, attribute, self.failing(name, getattr(owner, attribute)))
        for name in METHODS:
            setattr(socket.socket, name, self.failing(f"socket.{name}", getattr(socket.socket, name)))

    def failing_poll(self, poll):
        faults = self

        class Poll:
            def __init__(self):
                one = poll()
                self.register, self.unregister = one.register, one.unregister
                self.poll = faults.failing("select.poll", one.poll)

        return Poll


def calls():
    """ "module.function" of each system call in the source of a master."""
    found = set()
    for name, module in sorted(sys.modules.items()):
        if name.startswith("saltare.") and name.partition(".")[2] not in NOT_OF_A_MASTER:
            if (getattr(module, "__file__", None) or "").endswith(".py"):
                found |= set(calls_in(Path(module.__file__).read_text()))
    return sorted(found - HARMLESS)


def calls_in(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in MODULES:
            name = ALIASES.get(node.value.id, node.value.id)
            module = sys.modules.get(name) or sys.modules.get(f"saltare.{name}")
            value = getattr(module, node.attr, None)
            if inspect.isbuiltin(value) or (inspect.isfunction(value) and name in ("signal", "os")):
                yield f"{name}.{node.attr}"


async def app(scope, receive, send):
    body = b"%d" % os.getpid()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def main(folder, options):
    is_successor = "_SALTARE_HANDOVER" in os.environ
    is_trial = "_SALTARE_TRIAL" in os.environ
    import saltare.listen.passed
    import saltare.prefork.attempts
    import saltare.prefork.failures
    import saltare.prefork.lost_threads
    import saltare.prefork.master
    import saltare.prefork.preload
    import saltare.serve.identity

    saltare.prefork.failures.BRIEF = 0.0  # workers are killed one after another here
    saltare.prefork.attempts.REPEATED = 0.0  # the test looks for each failure in the log
    faults = Faults(Path(folder))
    faults.install()
    signal.signal(ARM, faults.arm)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [ARM])
    if (faults.folder / "plan").exists() and not is_trial:
        phase = json.loads((faults.folder / "plan").read_text())["phase"]
        if phase == ("successor" if is_successor else "start"):
            faults.arm()
    options = {"app": app, "port": 0, **json.loads(options)}
    if "uds_path" in options:
        del options["port"]
    server = saltare.Server(lifespan="off", **options)
    try:
        server.run()
    except (saltare.StartError, saltare.AppError) as error:
        print(f"saltare: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    faults.tell("end")
    sys.exit(not server.graceful)


if __name__ == "__main__":
    main(*sys.argv[1:])
