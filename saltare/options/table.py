"""Every option, once.

The command line, the keywords of `run()`, the environment `SALTARE_<NAME>`, the TOML file, `--print-config` and the
README's table are all made from OPTIONS. `run()` loads it into the serving process, so it imports nothing heavy; a
server that the command line started does without it.
"""

from .. import __version__
from .net_values import FD, PORT, Address, Header, Host, ServerHeader
from .techniques import TECHNIQUES
from .values import (
    App,
    AutoFlag,
    Choice,
    File,
    Flag,
    Integer,
    Names,
    Octal,
    Path,
    RootPath,
    Seconds,
    Several,
    Size,
    Target,
    Text,
)

PREFIX = "SALTARE_"
DAY = 86400


class Option:
    """One row: what it is called everywhere, what it takes, its default and what it does."""

    __slots__ = ("aliases", "default", "flags", "group", "help", "kind", "name")

    def __init__(self, group, name, kind, default, help, aliases=(), flag=None):
        self.group, self.name, self.kind, self.default, self.help = group, name, kind, default, help
        self.aliases = aliases
        spelled = (flag,) if flag else (name, *aliases)
        self.flags = tuple("--" + word.replace("_", "-") for word in spelled)

    @property
    def env(self):
        return PREFIX + self.name.upper()

    @property
    def off_flag(self):
        """The flag that switches it off, or None."""
        return "--no-" + self.flags[0][2:] if isinstance(self.kind, (Flag, ServerHeader)) else None


APP, PROCESSES, SOCKETS, HTTP, WEBSOCKET = "App", "Processes", "Sockets", "HTTP", "WebSocket"
TIMEOUTS, LIMITS, MEMORY, LOGS = "Timeouts", "Limits", "Memory", "Logs"

OPTIONS = (
    Option(APP, "app", App(), None, "the ASGI app; on the command line it is the argument"),
    Option(APP, "factory", Flag(), False, "call the attribute without arguments to get the app"),
    Option(APP, "app_dir", Path(), ".", "folder put first on sys.path"),
    Option(APP, "env_file", Path(), None, "environment to load before the app is imported; needs saltare[dotenv]"),
    Option(
        APP,
        "lifespan",
        Choice("auto", "on", "off"),
        "auto",
        "lifespan events; auto goes on without them when the app raises on their scope",
    ),
    Option(APP, "root_path", RootPath(), "", "path under which a proxy serves the app, ASGI root_path"),
    Option(APP, "loop", Target("auto", "asyncio", "uvloop"), "auto", "event loop; module:factory makes your own"),
    Option(APP, "startup_request", Flag(), False, "send the app one GET / of our own after start-up, to warm it"),
    Option(APP, "config", Path(), None, "TOML file of options, instead of [tool.saltare] in ./pyproject.toml"),
    Option(
        PROCESSES,
        "workers",
        Integer(0, 256),
        1,
        "processes that serve, forked by a master; 0 = as many as there are CPUs, at most 4",
    ),
    Option(
        PROCESSES,
        "preload",
        AutoFlag(),
        "auto",
        "import the app once, in the master, whose memory the workers share; otherwise each imports it, as with auto "
        "when the import starts threads, which a fork would leave behind",
    ),
    Option(
        PROCESSES,
        "worker_failure",
        Choice("respawn", "exit"),
        "respawn",
        "what a worker's death leads to: another one, or the end of all, with its exit code",
    ),
    Option(
        PROCESSES,
        "worker_start_timeout",
        Seconds(DAY),
        60.0,
        "from the fork of a worker until it serves, and for a trial of new code at SIGHUP; then it is killed; 0 = off",
    ),
    Option(
        PROCESSES,
        "limit_max_requests",
        Integer(0, 1 << 40),
        0,
        "requests after which a worker is replaced; 0 = off",
    ),
    Option(
        PROCESSES,
        "limit_max_requests_jitter",
        Integer(0, 1 << 40),
        0,
        "up to so many more, drawn for each worker, so that not all are replaced at a time",
    ),
    Option(
        PROCESSES,
        "limit_max_rss",
        Integer(0, 1 << 24),
        0,
        "MiB of resident memory at which a worker is replaced; 0 = off",
    ),
    Option(PROCESSES, "limit_worker_lifetime", Seconds(366 * DAY), 0.0, "age at which a worker is replaced; 0 = off"),
    Option(PROCESSES, "reload", Flag(), False, "for development: restart when a file changes; needs saltare[reload]"),
    Option(PROCESSES, "reload_dir", Several(Path(), ",", "commas"), (), "folder to watch instead of app_dir"),
    Option(
        PROCESSES,
        "reload_include",
        Several(Text(), ",", "commas"),
        ("*.py",),
        "pattern of file names, or of paths in the folder, whose change restarts",
    ),
    Option(
        PROCESSES,
        "reload_exclude",
        Several(Text(), ",", "commas"),
        (),
        "pattern of file names, or of paths in the folder, whose change does not",
    ),
    Option(SOCKETS, "host", Host(), "127.0.0.1", "name or address to listen on; 0.0.0.0 or :: is all of them"),
    Option(SOCKETS, "port", PORT, 8000, "port to listen on; 0 takes a free one"),
    Option(SOCKETS, "uds_path", Path(), None, "unix socket to listen on instead of host and port", flag="uds"),
    Option(SOCKETS, "uds_permissions", Octal(0o777), None, "permissions of unix sockets; without it umask decides"),
    Option(SOCKETS, "fd", FD, None, "descriptor of a listening socket, inherited, to use instead of host and port"),
    Option(
        SOCKETS,
        "bind",
        Several(Address(), ",", "commas"),
        (),
        "address to listen on instead of host and port; repeat it for several",
    ),
    Option(
        SOCKETS,
        "reuse_port",
        Flag(),
        False,
        "share the port with other servers that ask for it too (SO_REUSEPORT); the kernel spreads connections",
    ),
    Option(
        SOCKETS,
        "listen_backlog",
        Integer(1, 65535),
        256,
        "connections the kernel may queue; it also obeys net.core.somaxconn",
        aliases=("backlog",),
    ),
    Option(
        HTTP,
        "server_header",
        ServerHeader(f"saltare/{__version__}"),
        f"saltare/{__version__}",
        "value of the Server field; empty omits it",
    ),
    Option(HTTP, "date_header", Flag(), True, "send the Date field"),
    Option(
        HTTP, "header", Several(Header(), "\n", "newlines"), (), "field added to every answer; repeat it for several"
    ),
    Option(WEBSOCKET, "ws_max_size", Size(1, 1 << 40), 1 << 20, "message of a peer; beyond it closed with 1009"),
    Option(
        WEBSOCKET,
        "ws_keepalive_timeout",
        Seconds(DAY),
        20.0,
        "a peer silent for so long is sent a ping, and left when it stays silent for as long again; 0 = off",
        aliases=("ws_ping_interval",),
    ),
    Option(
        WEBSOCKET,
        "ws_per_message_deflate",
        Flag(),
        False,
        "compress messages when the peer offers it; costs time, and no memory while idle",
    ),
    Option(
        WEBSOCKET,
        "ws_deflate_context",
        Flag(),
        False,
        "compressed messages may refer to earlier ones: shorter, for more time and up to 6 KiB a connection",
    ),
    Option(
        TIMEOUTS,
        "header_timeout",
        Seconds(DAY),
        5.0,
        "from accept, or the first byte on a kept connection, to the complete head; then 408; 0 = off",
    ),
    Option(
        TIMEOUTS,
        "keep_alive_timeout",
        Seconds(DAY),
        5.0,
        "idle between two requests; 0 = off",
        aliases=("timeout_keep_alive",),
    ),
    Option(TIMEOUTS, "body_timeout", Seconds(DAY), 30.0, "no progress of a request body; then 408; 0 = off"),
    Option(TIMEOUTS, "write_timeout", Seconds(DAY), 30.0, "no progress of an answer not yet sent; 0 = off"),
    Option(
        TIMEOUTS,
        "shutdown_timeout",
        Seconds(DAY),
        30.0,
        "what is in progress may take this long after a stop; 0 = off: no end to it; with --reload 2 s unless set",
        aliases=("timeout_graceful_shutdown",),
    ),
    Option(
        LIMITS,
        "max_concurrent_connections",
        Integer(1, 1 << 20),
        1024,
        "connections open at a time; beyond it the longest idle one is closed, or the new one if none is idle",
    ),
    Option(LIMITS, "max_keepalive_requests", Integer(0, 1 << 30), 1000, "requests per connection; 0 = no limit"),
    Option(
        LIMITS,
        "max_request_line",
        Size(256, 64 << 10),
        16 << 10,
        "request line: method, path with query, version; beyond it 414",
    ),
    Option(
        LIMITS,
        "max_request_head",
        Size(1 << 10, 1 << 20),
        64 << 10,
        "request line and header fields together; beyond it 431",
        aliases=("h11_max_incomplete_event_size",),
    ),
    Option(LIMITS, "max_request_fields", Integer(8, 4096), 256, "header fields of a request; beyond it 431"),
    Option(LIMITS, "max_request_body", Size(0, 1 << 50), 1 << 20, "request body; beyond it 413; 0 = no limit"),
    Option(
        MEMORY,
        "memory",
        Choice("lean", "safe"),
        "lean",
        "safe leaves out what touches an allocator's insides, signals a thread, moves memory or replaces something of "
        "a library; docs/memory.md has the list",
    ),
    Option(
        MEMORY,
        "memory_without",
        Names("technique", (name for name, _, _ in TECHNIQUES)),
        (),
        "technique to leave out, by its name in docs/memory.md",
    ),
    Option(
        MEMORY,
        "park_memory",
        Path(),
        None,
        "folder on a real disk: what start-up left in memory moves into an unlinked file there, see Memory below",
    ),
    Option(
        MEMORY,
        "gc_collect_every_n_requests",
        Integer(0, 1 << 30),
        0,
        "collect the youngest garbage after each N requests; 0 = only when Python itself sees fit",
    ),
    Option(
        LOGS,
        "log_level",
        Choice("critical", "error", "warning", "info", "debug"),
        "info",
        "least severe messages of saltare to log",
    ),
    Option(
        LOGS,
        "log_config",
        File(".json", ".toml", ".ini"),
        None,
        "logging configuration: .json and .toml are for dictConfig, .ini is for fileConfig",
    ),
)

BY_NAME = {name: option for option in OPTIONS for name in (option.name, *option.aliases)}

# The four ways to listen. They exclude each other; one from a source of higher rank sets the others aside.
WAYS = {"host": "tcp", "port": "tcp", "uds_path": "uds_path", "fd": "fd", "bind": "bind"}
