"""Every option, once.

The command line, the keywords of `run()`, the environment `SALTARE_<NAME>`, the TOML file, `--print-config` and
docs/options.md are all made from OPTIONS. `run()` loads it into the serving process, so it imports nothing heavy; a
server that the command line started does not load it.
"""

from .. import __version__
from .answer_values import Bounds, OwnPath
from .log_values import LogFile, LogFormat, RequestPath
from .net_values import FD, PORT, Address, Header, Host, ServerHeader
from .path_values import ByPath
from .proxy_values import FIELDS, LOCAL_PEERS, FieldNames, Peer, ProxyProtocol, SecureFields
from .techniques import TECHNIQUES
from .values import (
    App,
    AutoFlag,
    Choice,
    Ciphers,
    Flag,
    Integer,
    LogConfig,
    LogLevel,
    Loop,
    Names,
    Octal,
    Password,
    Path,
    RootPath,
    Seconds,
    Several,
    Size,
    Text,
    Version,
)

PREFIX = "SALTARE_"
DAY = 86400
BUCKETS = ("0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10")  # seconds


class Option:
    """One row: the option's name, kind of value, default and help. Other names for it are in foreign.py."""

    __slots__ = ("default", "flag", "group", "help", "kind", "name")

    def __init__(self, group, name, kind, default, help, flag=None):
        self.group, self.name, self.kind, self.default, self.help = group, name, kind, default, help
        self.flag = "--" + (flag or name).replace("_", "-")

    @property
    def env(self):
        return PREFIX + self.name.upper()

    @property
    def off_flag(self):
        """The flag that turns it off, or None."""
        return "--no-" + self.flag[2:] if isinstance(self.kind, (Flag, ServerHeader)) else None


APP, PROCESSES, SOCKETS, TLS, HTTP, WEBSOCKET = "App", "Processes", "Sockets", "TLS", "HTTP", "WebSocket"
PROXIES = "Behind a proxy"
ANSWERS = "Answered by the server"
TIMEOUTS, LIMITS, MEMORY, LOGS = "Timeouts", "Limits", "Memory", "Logs"

OPTIONS = (
    Option(
        APP,
        "app",
        App(),
        None,
        "Serve this ASGI app. On the command line it is the argument. In a file given by its path, it is app, api or "
        "the only other app; --app NAME says which.",
    ),
    Option(APP, "factory", Flag(), False, "Call the attribute without arguments to get the app."),
    Option(APP, "app_dir", Path(), ".", "Put this folder first on sys.path."),
    Option(
        APP,
        "env_file",
        Path(),
        None,
        "Load environment variables from this file before the app is imported. Needs saltare[dotenv].",
    ),
    Option(
        APP,
        "lifespan",
        Choice("auto", "on", "off"),
        "auto",
        "Send the app lifespan events. With auto, serve an app that raises on the lifespan scope without them.",
    ),
    Option(APP, "root_path", RootPath(), "", "Set the ASGI root_path: the path under which a proxy serves the app."),
    Option(
        APP,
        "loop",
        Loop("auto", "asyncio", "uvloop"),
        "auto",
        "Use this event loop. module:factory creates your own.",
    ),
    Option(
        APP,
        "startup_request",
        Flag(),
        False,
        "Send the app one GET / after start-up, to warm it up.",
    ),
    Option(
        APP, "config", Path(), None, "Read options from this TOML file instead of [tool.saltare] in ./pyproject.toml."
    ),
    Option(
        PROCESSES,
        "workers",
        Integer(0, 256),
        1,
        "Run N worker processes under a master. 0 = as many as there are CPUs, at most 4.",
    ),
    Option(
        PROCESSES,
        "preload",
        AutoFlag(),
        "auto",
        "Import the app once, in the master, so that workers share its memory. When off, each worker imports it. "
        "With auto, each worker imports an app that starts threads at import, because threads do not survive a fork.",
    ),
    Option(
        PROCESSES,
        "worker_failure",
        Choice("respawn", "exit"),
        "respawn",
        "Choose what happens when a worker dies: start another one, or stop the server with the worker's exit code.",
    ),
    Option(
        PROCESSES,
        "worker_start_timeout",
        Seconds(DAY),
        60.0,
        "Kill a worker that does not serve within this time after it was forked, and a trial of new code at "
        "SIGHUP that takes longer. 0 = no limit.",
    ),
    Option(
        PROCESSES,
        "worker_timeout",
        Seconds(DAY),
        0.0,
        "Kill and replace a worker whose event loop has not turned for this long while clients wait. It must be "
        "longer than the app ever blocks the loop. Not with uvloop. 0 = never.",
    ),
    Option(
        PROCESSES,
        "limit_max_requests",
        Integer(0, 1 << 40),
        0,
        "Replace a worker after N requests. 0 = never.",
    ),
    Option(
        PROCESSES,
        "limit_max_requests_jitter",
        Integer(0, 1 << 40),
        0,
        "Add a random number of requests, at most N, to each worker's limit_max_requests, so that workers "
        "are not replaced all at once.",
    ),
    Option(
        PROCESSES,
        "limit_max_rss",
        Integer(0, 1 << 24),
        0,
        "Replace a worker whose resident memory reaches N MiB. 0 = never.",
    ),
    Option(
        PROCESSES,
        "limit_worker_lifetime",
        Seconds(366 * DAY),
        0.0,
        "Replace a worker that has reached this age. 0 = never.",
    ),
    Option(PROCESSES, "reload", Flag(), False, "Restart when a file changes. For development."),
    Option(PROCESSES, "reload_dir", Several(Path(), ",", "commas"), (), "Watch this folder instead of app_dir."),
    Option(
        PROCESSES,
        "reload_include",
        Several(Text(), ",", "commas"),
        (),
        "Restart for files other than *.py too: those whose name, or path in the watched folder, matches this pattern.",
    ),
    Option(
        PROCESSES,
        "reload_exclude",
        Several(Text(), ",", "commas"),
        (),
        "Do not restart for files and folders whose name, or path in the watched folder, matches this pattern.",
    ),
    Option(
        SOCKETS,
        "host",
        Host(),
        "127.0.0.1",
        "Listen on this name or address. 0.0.0.0 means all IPv4 addresses, and :: all addresses.",
    ),
    Option(SOCKETS, "ipv6_only", Flag(), False, "Accept no IPv4 on the address ::."),
    Option(SOCKETS, "port", PORT, 8000, "Listen on this port. 0 = any free port."),
    Option(SOCKETS, "uds_path", Path(), None, "Listen on this Unix socket instead of host and port.", flag="uds"),
    Option(
        SOCKETS,
        "uds_permissions",
        Octal(0o777),
        0o666,
        "Set the permissions of Unix sockets.",
    ),
    Option(
        SOCKETS, "fd", FD, None, "Listen on this inherited descriptor of a listening socket instead of host and port."
    ),
    Option(
        SOCKETS,
        "bind",
        Several(Address(), ",", "commas"),
        (),
        "Listen on this address instead of host and port. Repeat the option for more addresses.",
    ),
    Option(
        SOCKETS,
        "reuse_port",
        Flag(),
        False,
        "Share the port with other servers that set SO_REUSEPORT too. The kernel spreads connections over them.",
    ),
    Option(
        SOCKETS,
        "listen_backlog",
        Integer(1, 65535),
        2048,
        "Let the kernel queue N connections that are not yet accepted. net.core.somaxconn limits it too.",
    ),
    Option(
        SOCKETS,
        "tcp_keepidle",
        Integer(0, 32767),
        0,
        "Send the first keep-alive probe to a TCP client after N seconds of silence. 0 = as the system has it "
        "(net.ipv4.tcp_keepalive_time), two hours by default.",
    ),
    Option(
        SOCKETS,
        "tcp_keepintvl",
        Integer(0, 32767),
        0,
        "Send further keep-alive probes N seconds apart. 0 = as the system has it (net.ipv4.tcp_keepalive_intvl).",
    ),
    Option(
        SOCKETS,
        "tcp_keepcnt",
        Integer(0, 127),
        0,
        "Close a connection after N keep-alive probes without a reply. 0 = as the system has it "
        "(net.ipv4.tcp_keepalive_probes).",
    ),
    Option(
        SOCKETS,
        "tcp_user_timeout_ms",
        Integer(0, (1 << 31) - 1),
        0,
        "Close a TCP connection whose client has not acknowledged data, or a keep-alive probe, for N milliseconds. "
        "0 = as the system has it.",
    ),
    Option(
        SOCKETS,
        "tcp_fastopen_qlen",
        Integer(0, 65535),
        0,
        "Let clients send their request with the first packet of a TCP connection, for at most N connections that are "
        "not established yet. Needs bit 2 of net.ipv4.tcp_fastopen, as in 3. 0 = off.",
    ),
    Option(
        TLS,
        "ssl_certfile",
        Several(Path(), ",", "commas"),
        (),
        "Serve HTTPS with the certificate in this PEM file, followed by those of intermediate authorities. Repeat the "
        "option, with its ssl_keyfile, for more names: the client's name (SNI) chooses. A file that changes is loaded "
        "again. Costs 180 bytes per connection, and 1 MiB per process.",
    ),
    Option(
        TLS,
        "ssl_keyfile",
        Several(Path(), ",", "commas"),
        (),
        "Read the private key of the certificate from this PEM file. By default, it is in the file of the certificate.",
    ),
    Option(
        TLS,
        "ssl_keyfile_password",
        Password(),
        None,
        "Decrypt the private keys with this password. The environment hides it better than the command line.",
    ),
    Option(
        TLS,
        "ssl_ca_file",
        Path(),
        None,
        "Ask clients for a certificate, signed by an authority in this PEM file. A client may have none, unless "
        "ssl_verify_client is on.",
    ),
    Option(TLS, "ssl_verify_client", Flag(), False, "End the handshake with a client that has no certificate."),
    Option(
        TLS,
        "ssl_ciphers",
        Ciphers(),
        None,
        "Offer only these cipher suites in TLS 1.2. Those of TLS 1.3 are fixed.",
    ),
    Option(TLS, "ssl_min_version", Choice("1.2", "1.3"), "1.2", "Speak this version of TLS or a later one."),
    Option(
        TLS,
        "tls_session_cache_size",
        Integer(0, 1 << 20),
        20480,
        "Let clients resume sessions by tickets, for up to a day. They cost no memory, so any number but 0 means the "
        "same. 0 = each handshake is a full one.",
    ),
    Option(
        HTTP,
        "server_header",
        ServerHeader(f"saltare/{__version__}"),
        f"saltare/{__version__}",
        "Set the value of the Server field. An empty value omits the field.",
    ),
    Option(HTTP, "date_header", Flag(), True, "Send the Date field."),
    Option(
        HTTP,
        "header",
        Several(Header(), "\n", "newlines"),
        (),
        "Add this field to every response. Repeat the option for more fields.",
    ),
    Option(
        HTTP,
        "pathsend",
        Choice("auto", "on", "off"),
        "auto",
        "Offer apps the extension http.response.pathsend, which sends a file by its path. With auto, only for requests "
        "that accept no compression, because middleware that compresses does not know it.",
    ),
    Option(
        HTTP,
        "asgi_spec_version",
        Version("2.3", "2.5"),
        "2.3",
        "Set the spec_version of scopes. 2.3 means 2.3 for http and 2.4 for websocket, as in other servers. With 2.5, "
        "send() raises as soon as the client has gone, and Starlette does not cancel a silent stream then.",
    ),
    Option(
        PROXIES,
        "proxy_headers",
        Flag(),
        True,
        "Take the client, the scheme and the server of a request from the fields that a proxy in "
        "forwarded_allow_ips sends. docs/proxies.md has the rules.",
    ),
    Option(
        PROXIES,
        "forwarded_allow_ips",
        Several(Peer(), ",", "commas"),
        LOCAL_PEERS,
        "Believe the fields of these peers, and of the proxies behind them. The default is the variable "
        "FORWARDED_ALLOW_IPS, if it is set.",
    ),
    Option(
        PROXIES,
        "proxy_fields",
        FieldNames(),
        FIELDS,
        "Believe these fields, in this order where two say the same thing. Leave out those that your proxy passes on "
        "from clients.",
    ),
    Option(
        PROXIES,
        "secure_scheme_headers",
        SecureFields(),
        (),
        "Set the scheme to https if a proxy in forwarded_allow_ips sends this field with this value. Repeat the option "
        "for more fields.",
    ),
    Option(
        PROXIES,
        "proxy_protocol",
        ProxyProtocol(),
        "off",
        "Expect a header of the PROXY protocol at the start of each connection, and close connections without one. "
        "v1 and v2 accept one version.",
    ),
    Option(
        PROXIES,
        "proxy_protocol_from",
        Several(Peer(), ",", "commas"),
        LOCAL_PEERS,
        "Accept PROXY headers of these peers. Connections of others are closed.",
    ),
    Option(
        ANSWERS,
        "health_path",
        OwnPath(),
        None,
        "Answer requests for this path with 200 and ok, and with 503 once the server is about to stop. The app does "
        "not see them. docs/operations.md has the rules for all options of this group.",
    ),
    Option(
        ANSWERS,
        "metrics_path",
        OwnPath(),
        None,
        "Answer requests for this path with metrics as Prometheus text, summed over all workers. Everybody who can "
        "reach the path can read them.",
    ),
    Option(
        ANSWERS,
        "metrics_buckets",
        Bounds(DAY),
        BUCKETS,
        "Set the upper bounds of the histograms in the metrics, in ascending order; at most 20.",
    ),
    Option(
        ANSWERS,
        "admin_bind",
        Address(),
        None,
        "Listen on this address too, and answer health_path and metrics_path there alone. No request to it reaches the "
        "app.",
    ),
    Option(ANSWERS, "favicon_204", Flag(), False, "Answer requests for /favicon.ico with 204, which has no content."),
    Option(
        ANSWERS,
        "cors_preflight_allow_all",
        Flag(),
        False,
        "Answer CORS preflights (OPTIONS with an Origin field) for every path: each origin, method and field is "
        "allowed, but no credentials. The app's own responses need Access-Control-Allow-Origin too.",
    ),
    Option(
        WEBSOCKET,
        "ws_max_size",
        Size(1, 1 << 40),
        16 << 20,
        "Close a websocket with 1009 when the client sends a larger message.",
    ),
    Option(
        WEBSOCKET,
        "ws_keepalive_timeout",
        Seconds(DAY),
        20.0,
        "Send a ping to a websocket client that was silent for this long, and close the connection after as "
        "long a silence again. 0 = off.",
    ),
    Option(
        WEBSOCKET,
        "ws_per_message_deflate",
        Flag(),
        False,
        "Compress websocket messages if the client offers it. Costs CPU time, and no memory while a "
        "connection is idle.",
    ),
    Option(
        WEBSOCKET,
        "ws_deflate_context",
        Flag(),
        False,
        "Let compressed messages refer to earlier ones. Makes them shorter, for more CPU time and up to 6 "
        "KiB per connection.",
    ),
    Option(
        TIMEOUTS,
        "header_timeout",
        Seconds(DAY),
        15.0,
        "Answer 408 if a request head is not complete this long after the connection was accepted, or after "
        "the head's first byte on a kept-alive connection. 0 = off.",
    ),
    Option(
        TIMEOUTS,
        "keep_alive_timeout",
        Seconds(DAY),
        75.0,
        "Close a connection that is idle for this long between two requests. 0 = never.",
    ),
    Option(
        TIMEOUTS,
        "body_timeout",
        Seconds(DAY),
        30.0,
        "Answer 408 if a request body makes no progress for this long. 0 = off.",
    ),
    Option(
        TIMEOUTS,
        "write_timeout",
        Seconds(DAY),
        30.0,
        "Close a connection whose client takes nothing of a response for this long. 0 = never.",
    ),
    Option(
        TIMEOUTS,
        "request_timeout",
        Seconds(DAY),
        0.0,
        "Give the app this long for a request, from its head to the end of the response. Then cancel its task, and "
        "answer 504 if the response has not begun, otherwise close the connection. Websockets are exempt. 0 = no "
        "limit.",
    ),
    Option(
        TIMEOUTS,
        "request_timeout_path",
        ByPath(Seconds(DAY), "/export=5m"),
        (),
        "Set request_timeout for the paths below a prefix. The longest prefix that fits counts. Repeat the option for "
        "more prefixes.",
    ),
    Option(
        TIMEOUTS,
        "drain_delay",
        Seconds(DAY),
        0.0,
        "After SIGTERM, go on serving for this long while health_path answers 503, so that load balancers turn to "
        "other servers first. A second signal ends the wait. 0 = stop at once.",
    ),
    Option(
        TIMEOUTS,
        "shutdown_timeout",
        Seconds(DAY),
        30.0,
        "Give requests in progress this long to finish after a stop. 0 = wait for ever. With --reload the "
        "default is 2 s.",
    ),
    Option(
        TIMEOUTS,
        "drain_streams",
        Choice("disconnect", "wait"),
        "disconnect",
        "Choose what happens at a stop to an event stream, and to a response that declares no length and is silent for "
        "half a second: the app receives http.disconnect, or the stop waits for it.",
    ),
    Option(
        LIMITS,
        "max_concurrent_connections",
        Integer(0, 1 << 20),
        0,
        "Accept at most N connections at a time. Beyond that, close the connection that has been idle "
        "longest, or the new one if none is idle. 0 = as many as the limit of descriptors allows.",
    ),
    Option(
        LIMITS,
        "max_connections_per_ip",
        Integer(0, 1 << 20),
        0,
        "Reset a new connection of a client address that has N already, in all workers together. An IPv6 address "
        "counts as its network of 64 bits. Unix sockets and the proxies in forwarded_allow_ips are exempt. 0 = no "
        "limit. Costs 64 KiB per worker, as far as it is used.",
    ),
    Option(
        LIMITS,
        "max_connection_lifetime",
        Seconds(30 * DAY),
        0.0,
        "End a connection this long after it was accepted: close it if it is idle, otherwise with its next response. "
        "Websockets are exempt. 0 = no limit.",
    ),
    Option(
        LIMITS,
        "rate_limit_per_sec",
        Integer(0, 1 << 20),
        0,
        "Answer 429 with Retry-After to a client address that sends more requests per second, to all workers together. "
        "Behind a proxy in forwarded_allow_ips the client's address counts; an IPv6 address counts as its network of "
        "64 bits. 0 = no limit. Costs 64 KiB, as far as it is used.",
    ),
    Option(
        LIMITS,
        "rate_limit_burst",
        Integer(1, 1 << 20),
        100,
        "Let a client address send N requests at once, after a pause, before rate_limit_per_sec holds.",
    ),
    Option(
        LIMITS,
        "limit_concurrency",
        Integer(0, 1 << 20),
        0,
        "Answer 503 with Retry-After while a worker has N requests and websockets in progress. The app's work after a "
        "response counts, an idle connection does not. 0 = no limit.",
    ),
    Option(
        LIMITS,
        "max_keepalive_requests",
        Integer(0, 1 << 30),
        1000,
        "Close the connection after N requests. 0 = no limit.",
    ),
    Option(
        LIMITS,
        "max_request_line",
        Size(256, 64 << 10),
        16 << 10,
        "Answer 414 if the request line (method, path with query, version) is longer.",
    ),
    Option(
        LIMITS,
        "max_request_head",
        Size(1 << 10, 1 << 20),
        64 << 10,
        "Answer 431 if the request line and header fields together are larger.",
    ),
    Option(LIMITS, "max_request_fields", Integer(8, 4096), 256, "Answer 431 if a request has more header fields."),
    Option(LIMITS, "max_request_body", Size(0, 1 << 50), 0, "Answer 413 if a request body is larger. 0 = no limit."),
    Option(
        LIMITS,
        "max_request_body_path",
        ByPath(Size(0, 1 << 50), "/upload=100MiB"),
        (),
        "Set max_request_body for the paths below a prefix. The longest prefix that fits counts. Repeat the option for "
        "more prefixes.",
    ),
    Option(
        MEMORY,
        "memory",
        Choice("lean", "safe"),
        "lean",
        "Choose the techniques that save memory. safe turns off those that use an allocator's internals, "
        "signal a thread, move memory or replace part of a library. docs/memory.md lists them.",
    ),
    Option(
        MEMORY,
        "memory_without",
        Names("technique", (name for name, _, _ in TECHNIQUES)),
        (),
        "Turn off this technique. docs/memory.md has the names.",
    ),
    Option(
        MEMORY,
        "park_memory",
        Path(),
        None,
        "Move the memory that start-up leaves into an unlinked file in this folder, which must be on a real "
        "disk. See docs/memory.md.",
    ),
    Option(
        MEMORY,
        "gc_collect_every_n_requests",
        Integer(0, 1 << 30),
        0,
        "Collect the youngest generation of garbage after every N requests. 0 = leave it to Python.",
    ),
    Option(
        LOGS,
        "log_level",
        LogLevel(),
        "info",
        "Log messages of saltare at this level and above.",
    ),
    Option(
        LOGS,
        "log_format",
        Choice("text", "json"),
        "text",
        "Write saltare's own lines, where no handler of logging takes them, as text or as JSON objects.",
    ),
    Option(
        LOGS,
        "log_config",
        LogConfig(),
        None,
        "Configure logging from this file: .json, .toml and .yaml for dictConfig, any other, such as .ini and .conf, "
        "for fileConfig.",
    ),
    Option(
        LOGS,
        "access_log",
        Flag(),
        False,
        "Write a line for each request, once its response is sent. Costs 0.8 MiB for each worker under load, and 5 to "
        "7 % of the requests per second of an app that does next to nothing.",
    ),
    Option(
        LOGS,
        "access_log_path",
        LogFile(),
        "stderr",
        "Append the lines to this file, and open it again at SIGUSR2. Turns access_log on, unless that is turned off.",
    ),
    Option(
        LOGS,
        "access_log_format",
        LogFormat(),
        "json",
        "Write the lines in this format. docs/access-log.md has the fields.",
    ),
    Option(
        LOGS,
        "access_log_exclude",
        Several(RequestPath(), ",", "commas"),
        (),
        "Write no line for requests of this path, such as /health. With * at its end: of all paths that begin so. "
        "Repeat the option for more paths.",
    ),
)

BY_NAME = {option.name: option for option in OPTIONS}

# The four ways to listen. They exclude each other; one from a source of higher rank overrides the others.
WAYS = {"host": "tcp", "port": "tcp", "uds_path": "uds_path", "fd": "fd", "bind": "bind"}
