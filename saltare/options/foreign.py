"""What the names of other servers mean here: options of uvicorn, gunicorn, granian, hypercorn, FastAPI's
command and the Zig saltare.

Every name that saltare lacks and one of them has is in ROWS, once: as it is typed on the command line, given as a
keyword or written in a file. A row answers with our options, with nothing (it asks for what saltare does anyway), or
with a refusal that says what to write. The module is imported only when a name is not ours, so a server pays nothing
for it. When saltare gains a feature, its row goes.
"""

from .meanings import (
    Fine,
    Refusal,
    Spelling,
    client_certificates,
    field_size,
    fields,
    graceful,
    head,
    interface,
    keep_alive,
    line,
    log_file,
    milliseconds,
    no_file,
    one_file,
    only_off,
    only_when,
    pings,
    port_or_pid,
    prefix,
    python_path,
    tls_version,
    uri,
    worker_class,
    zig_head,
)
from .values import Refused, one_of

# By the letters that the rows give.
PROGRAMS = {"U": "uvicorn", "G": "gunicorn", "R": "granian", "H": "hypercorn", "F": "fastapi", "Z": "the Zig saltare"}

# Names that mean the same here and there, so that they need no row.
SHARED = {
    "U": "host port uds fd reload reload_dir reload_include reload_exclude workers loop lifespan env_file log_config "
    "log_level server_header date_header root_path limit_max_requests limit_max_requests_jitter ws_max_size "
    "ws_per_message_deflate header app_dir factory proxy_headers forwarded_allow_ips access_log ssl_certfile "
    "ssl_keyfile ssl_keyfile_password ssl_ciphers limit_concurrency",
    "G": "bind workers preload reload reuse_port log_level log_config root_path print_config forwarded_allow_ips "
    "secure_scheme_headers proxy_protocol access_log_format user group umask pid",
    "R": "host port uds uds_permissions workers loop log_level log_config factory reload access_log ssl_keyfile "
    "ssl_keyfile_password",
    "H": "bind workers reload root_path log_level log_config keep_alive_timeout shutdown_timeout user group umask pid",
    "F": "host port workers reload reload_dir root_path proxy_headers forwarded_allow_ips",
    "Z": "host port uds workers header_timeout keep_alive_timeout body_timeout write_timeout "
    "max_concurrent_connections max_keepalive_requests max_request_body shutdown_timeout ws_keepalive_timeout "
    "listen_backlog startup_request server_header gc_collect_every_n_requests reload reload_dir reload_include "
    "reload_exclude proxy_headers proxy_protocol access_log access_log_path access_log_format access_log_exclude "
    "status_path tracemalloc_path "
    "ssl_certfile ssl_keyfile ssl_ca_file ssl_verify_client tls_session_cache_size max_connections_per_ip "
    "max_connection_lifetime rate_limit_per_sec rate_limit_burst tcp_keepidle tcp_keepintvl tcp_keepcnt "
    "tcp_user_timeout_ms tcp_fastopen_qlen "
    "request_id_header traceparent_propagation server_timing hsts_max_age hsts_include_subdomains hsts_preload",
}

# ---- why not ----

# What to do instead of what this version lacks.
LACKS = {
    "HTTP/2": "let a proxy speak HTTP/2",
}
CONTEXT = "saltare's TLS is not Python's; leave it out, and write --ssl-certfile, --ssl-keyfile, --ssl-ca-file"
HTTP2 = f"saltare speaks HTTP/1.1 in this version; leave it out, and {LACKS['HTTP/2']}"
NO_HTTP2 = "without HTTP/2 it has no effect"
QUIC = "saltare has no HTTP/3; let a proxy speak it"
SUPERVISOR = "let the supervisor do this, as deploy/saltare.service does for systemd"
DAEMON = "saltare stays in the foreground; " + SUPERVISOR
NAME = "leave it out; processes are called saltare, saltare:master and saltare:wkr1"
STATSD = "saltare sends no metrics in this version; leave it out"
KEEP_GUNICORN = "or keep gunicorn: gunicorn -k saltare.workers.SaltareWorker"
HOOKS = f"saltare calls no hooks; do it in the app's lifespan, or at import, {KEEP_GUNICORN}"
STDERR = "saltare logs to stderr; write 2>> FILE after the command, or use --log-config"
STATIC = "saltare serves no folders in this version; let the app or a proxy do it"
NO_STATIC = "without static folders it has no effect"
IN_APP = "saltare does not answer by itself in this version; let the app or a proxy do it"
STRICT = "saltare parses strictly; leave it out"
PARSER = "saltare has one parser"
WEBSOCKETS = "saltare has one implementation of websockets"
BOUNDED = "what waits for the app is bounded in bytes"
CORE = "the core runs in one thread per worker"
SYSLOG = "saltare logs to stderr, and systemd passes that on to the journal; for syslog use --log-config"
FOLDER = "it is put first on sys.path, and the working directory stays: for relative paths write cd before the command"
PASTE = "saltare reads no PasteDeploy files; make the app in a module and name it: module:app"
DIRTY = f"saltare has no workers for blocking tasks; use a task queue, or threads of the app, {KEEP_GUNICORN}"
BUSY = "saltare does not kill workers that are busy"
BACKPRESSURE = "write --limit-concurrency, which answers 503 where granian lets the client wait"

VALUE, FLAG, EITHER = "value", "flag", "either"


class Row:
    """Names with one meaning: keywords with underscores, which are also flags with dashes, and short flags."""

    __slots__ = ("meaning", "names", "programs", "takes")

    def __init__(self, programs, names, meaning, takes=VALUE):
        self.programs, self.names, self.meaning, self.takes = programs, tuple(names.split()), meaning, takes

    def turn(self, value):
        """Our options and their values, perhaps none. Refused: the text says why, and what to write."""
        return self.meaning.turn(value)

    def note(self, label, value, ours):
        """One line for the log and for `saltare doctor`: how the name was read."""
        switch = value is True or label.startswith("--no-")
        given = f"{label if switch else f'{label} {value!r}'} of {self.servers()}"
        if ours:
            taken = f"{given} is taken as {', '.join(f'{name} = {one!r}' for name, one in ours.items())}"
            return f"{taken}; {self.meaning.note}" if self.meaning.partly else taken
        return f"{given} needs nothing: {getattr(self.meaning, 'why', 'it asks for what saltare does')}"

    def servers(self):
        return one_of([PROGRAMS[letter] for letter in self.programs], "and")

    def __repr__(self):
        return f"<Row {' '.join(self.names)}>"


# fmt: off
ROWS = (
    # ---- the app ----
    Row("GH", "wsgi_app application_path", Spelling("app")),
    Row("F", "entrypoint", Spelling("app")),
    Row("GR", "chdir working_dir", Spelling("app_dir", note=FOLDER, partly=True)),
    Row("G", "pythonpath", Spelling("app_dir", python_path, "for one folder")),
    Row("R", "env_files", Spelling("env_file", one_file, "one file")),
    Row("G", "-e env raw_env",
        Refusal("set the variable before the command, as in NAME=value saltare ..., or use --env-file")),
    Row("R", "url_path_prefix", Spelling("root_path", prefix)),
    Row("UR", "interface",
        Spelling(
            "lifespan",
            interface,
            "leave it out; `asginl` means `--lifespan off`. RSGI, WSGI and ASGI 2 apps do not run")),
    Row("G", "asgi_loop", Spelling("loop")),
    Row("G", "asgi_lifespan", Spelling("lifespan")),
    Row("U", "reset_contextvars", Fine("no request sees the context of another"), FLAG),
    Row("G", "paste paster paste_global raw_paste_global_conf", Refusal(PASTE)),
    Row("GH", "-c", Spelling("config", note="with a TOML file")),
    Row("G", "check_config", Fine("`--check` checks the options"), EITHER),
    Row("Z", "runtime_config_path", Refusal("leave it out, and send SIGHUP: saltare reads its options again")),
    Row("Z", "no_optimize reexeced", Fine("saltare does not start itself with -OO"), FLAG),
    # ---- processes ----
    Row("GH", "-w", Spelling("workers")),
    Row("GH", "-k worker_class",
        Spelling(
            "",
            worker_class,
            "leave it out; saltare is the worker, for `uvicorn.workers...`, `asgi`, `asyncio` and `uvloop` alike")),
    Row("GR", "threads threading_mode",
        Fine("the app runs in one event loop per worker, which takes its threads by itself")),
    Row("G", "worker_connections", Spelling("max_concurrent_connections")),
    Row("GH", "max_requests", Spelling("limit_max_requests")),
    Row("GH", "max_requests_jitter", Spelling("limit_max_requests_jitter")),
    Row("R", "workers_lifetime", Spelling("limit_worker_lifetime")),
    Row("R", "workers_max_rss", Spelling("limit_max_rss")),
    Row("R", "workers_kill_timeout workers_graceful_timeout", Spelling("shutdown_timeout")),
    Row("R", "respawn_failed_workers",
        Spelling("worker_failure", only_off({"worker_failure": "exit"}), "leave it out; with no-: `exit`"), FLAG),
    Row("R", "respawn_interval", Fine("a worker is replaced at once, and later if it dies again")),
    Row("R", "rss_sample_interval rss_samples", Fine("the memory is looked at after requests, once a second")),
    Row("G", "-t timeout", Fine(BUSY)),
    Row("U", "timeout_worker_healthcheck", Fine(BUSY + "; --worker-start-timeout limits their start")),
    Row("U", "timeout_notify", Fine("nothing is called in intervals")),
    Row("U", "callback_notify", Refusal("nothing is called in intervals; start a task in the app's lifespan")),
    Row("G", "preload_app", Spelling("preload"), FLAG),
    Row("G", "worker_tmp_dir", Fine("workers need no file to show that they live")),
    Row("G", "tmp_upload_dir", Fine("bodies are passed on to the app as they arrive")),
    Row("R", "blocking_threads",
        Fine(
            "the app runs in one event loop per worker",
            "1",
            reason="an ASGI app has one thread per worker; accepted: 1")),
    Row("R", "blocking_threads_idle_timeout runtime_threads runtime_blocking_threads runtime_mode", Fine(CORE)),
    Row("R", "task_impl", Fine("tasks are asyncio's", "asyncio rust")),
    Row("GH", "-D daemon", Refusal(DAEMON), FLAG),
    Row("GH", "-u", Spelling("user")),
    Row("GH", "-g", Spelling("group")),
    Row("G", "initgroups", Fine("with --user the process gets all groups of that user"), FLAG),
    Row("GH", "-m", Spelling("umask")),
    Row("GH", "-p", Spelling("port", port_or_pid, "with a number, otherwise `--pid`")),
    Row("GRH", "pidfile pid_file pid_path", Spelling("pid")),
    Row("GR", "-n name process_name proc_name default_proc_name", Refusal(NAME)),
    Row("G",
        "on_starting on_reload when_ready pre_fork post_fork post_worker_init worker_int worker_abort pre_exec "
        "pre_request post_request child_exit worker_exit nworkers_changed on_exit on_dirty_starting dirty_post_fork "
        "dirty_worker_init dirty_worker_exit",
        Refusal(HOOKS)),
    Row("G", "dirty_app dirty_apps dirty_workers", Refusal(DIRTY)),
    Row("G", "dirty_timeout dirty_threads dirty_graceful_timeout", Fine("without such workers it has no effect")),
    Row("G", "control_socket",
        Refusal("saltare has no control socket; signals do the same (docs/workers-and-signals.md)"), EITHER),
    Row("G", "control_socket_mode control_socket_disable", Fine("there is no control socket"), EITHER),
    Row("G", "spew", Refusal("run the app with python -m trace"), FLAG),
    Row("R", "reload_paths", Spelling("reload_dir")),
    Row("UZ", "reload_dirs", Spelling("reload_dir")),
    Row("UZ", "reload_includes", Spelling("reload_include")),
    Row("G", "reload_extra_file reload_extra_files", Spelling("reload_include")),
    Row("UZ", "reload_excludes", Spelling("reload_exclude")),
    Row("R", "reload_ignore_dirs reload_ignore_paths", Spelling("reload_exclude")),
    Row("R", "reload_ignore_patterns reload_filter",
        Refusal("write shell patterns with --reload-exclude, such as 'build/*'")),
    Row("H", "use_reloader", Spelling("reload"), FLAG),
    Row("GRUZ", "reload_engine reload_tick reload_delay reload_poll_secs",
        Fine("changes within 50 ms are one, and a restart follows at once")),
    Row("R", "reload_ignore_worker_failure", Fine("a worker that fails waits for the next change"), FLAG),
    # ---- sockets ----
    Row("GH", "-b binds", Spelling("bind")),
    Row("U", "uds", Spelling("uds_path")),
    Row("R", "address", Spelling("host")),
    Row("UGRH", "backlog", Spelling("listen_backlog")),
    Row("H", "insecure_bind insecure_binds", Refusal("without TLS every address is plain; write --bind")),
    Row("H", "quic_bind quic_binds", Refusal(QUIC)),
    Row("H", "server_name server_names",
        Refusal("let the proxy check the host, or a middleware such as TrustedHostMiddleware")),
    Row("Z", "auto_raise_nofile", Fine("the limit of descriptors is raised as far as it can be"), FLAG),
    # ---- HTTP ----
    Row("UR", "http",
        Fine(
            PARSER + ", for HTTP/1.1",
            "auto h11 httptools 1",
            reason=f"{PARSER}, for HTTP/1.1; accepted: auto, h11, httptools and 1")),
    Row("UZ", "http2", Refusal(HTTP2), EITHER),
    Row("G", "http_protocols", Fine("saltare speaks HTTP/1.1", "h1 http1 http/1.1", reason=HTTP2)),
    Row("G", "http2_cleartext", Refusal(HTTP2), EITHER),
    Row("H", "alpn_protocols", Fine("ALPN chooses http/1.1")),
    Row("GRH",
        "http2_max_concurrent_streams http2_initial_window_size http2_max_frame_size http2_max_header_list_size "
        "http2_initial_connection_window_size http2_initial_stream_window_size http2_keep_alive_interval "
        "http2_keep_alive_timeout http2_max_headers_size http2_max_send_buffer_size http2_settings "
        "h2_max_concurrent_streams h2_max_header_list_size h2_max_inbound_frame_size",
        Fine(NO_HTTP2)),
    Row("R", "http2_adaptive_window", Fine(NO_HTTP2), FLAG),
    Row("H", "alt_svc_headers", Refusal("write --header 'Alt-Svc: ...'")),
    Row("G", "http_parser", Fine(PARSER, "auto fast python")),
    Row("R", "http1_settings", Refusal("write them one by one: header_timeout, max_keepalive_requests")),
    Row("R", "http1_buffer_size", Fine("buffers grow and shrink by themselves")),
    Row("R", "http1_pipeline_flush", Fine("pipelined responses leave together"), FLAG),
    Row("R", "http1_keep_alive",
        Spelling(
            "max_keepalive_requests",
            only_off({"max_keepalive_requests": 1}),
            "leave it out; with no-: `1`"), FLAG),
    Row("G",
        "permit_obsolete_folding strip_header_spaces permit_unconventional_http_method "
        "permit_unconventional_http_version casefold_http_method",
        Refusal(STRICT), FLAG),
    Row("G", "forwarder_headers header_map", Fine("an ASGI app gets the fields as they came")),
    Row("G", "protocol",
        Fine("saltare speaks HTTP", "http", reason="saltare speaks HTTP; let the proxy use proxy_pass or the like")),
    Row("G", "uwsgi_allow_ips uwsgi_allow_from", Fine("saltare does not speak uwsgi's protocol")),
    Row("G", "sendfile", Fine("files are sent with sendfile(2) where the app asks for it"), FLAG),
    Row("G", "asgi_disconnect_grace_period", Fine("the app receives http.disconnect as soon as a client has gone")),
    Row("U", "headers", Spelling("header")),
    Row("H", "include_server_header", Spelling("server_header"), FLAG),
    Row("H", "include_date_header", Spelling("date_header"), FLAG),
    Row("H", "h11_pass_raw_headers", Refusal("names of fields reach the app in lower case, as ASGI requires"), FLAG),
    Row("Z", "response_gzip response_brotli response_zstd request_decompression",
        Refusal("saltare does not compress in this version; let a proxy or a middleware of the app do it"), FLAG),
    Row("Z", "response_gzip_min_bytes response_gzip_level response_brotli_quality response_zstd_level",
        Fine("without compression it has no effect")),
    Row("Z", "http_pool_max", Fine("what a request needs is made for it")),
    # ---- behind a proxy ----
    Row("G", "proxy_allow_ips proxy_allow_from", Spelling("proxy_protocol_from")),
    # ---- websocket ----
    Row("UR", "ws websockets",
        Fine(
            WEBSOCKETS + ", always on",
            "auto websockets websockets-sansio wsproto true",
            reason="saltare always passes websockets on to the app, and one without them rejects them; "
                   "leave it out"), EITHER),
    Row("U", "ws_ping_interval", Spelling("ws_keepalive_timeout", pings, "None: no pings")),
    Row("H", "websocket_ping_interval", Spelling("ws_keepalive_timeout", pings)),
    Row("U", "ws_ping_timeout",
        Spelling("ws_keepalive_timeout", pings, "one time for both: the larger of the two counts")),
    Row("UH", "ws_max_queue max_app_queue_size", Fine(BOUNDED)),
    Row("GH", "websocket_max_message_size", Spelling("ws_max_size")),
    Row("Z", "ws_pump_interval_ms ws_handshake_timeout", Fine("nothing is polled")),
    Row("Z", "ws_compression_level", Fine("there is one level")),
    Row("Z", "ws_compression_server_takeover",
        Spelling(
            "ws_deflate_context",
            only_when("", {"ws_per_message_deflate": True, "ws_deflate_context": True}),
            "with `--ws-per-message-deflate`"), FLAG),
    Row("Z", "ws_reject_log", Refusal("leave it out; --log-level debug logs why a connection ended"), FLAG),
    # ---- timeouts ----
    Row("U", "timeout_keep_alive", Spelling("keep_alive_timeout", keep_alive, "0: `--max-keepalive-requests 1`")),
    Row("GH", "keep_alive keepalive", Spelling("keep_alive_timeout", keep_alive, "0: `--max-keepalive-requests 1`")),
    Row("U", "timeout_graceful_shutdown",
        Spelling("shutdown_timeout", graceful, "0: cancel at once; None: wait for ever")),
    Row("GH", "graceful_timeout", Spelling("shutdown_timeout", graceful, "0: cancel at once")),
    Row("H", "read_timeout", Spelling("body_timeout")),
    Row("H", "startup_timeout",
        Refusal("leave it out; the app's start-up has no limit, and --worker-start-timeout that of workers")),
    Row("R", "http1_header_read_timeout",
        Spelling("header_timeout", milliseconds, "a number without a unit is milliseconds there, and seconds here")),
    Row("Z", "drain_wait_seconds", Fine("without --drain-path it has no effect")),
    Row("Z", "drain_path", Refusal("send SIGTERM instead, with --drain-delay")),
    # ---- limits ----
    Row("R", "backpressure", Refusal(BACKPRESSURE)),
    Row("U", "h11_max_incomplete_event_size", Spelling("max_request_head", head, "at most 1 MiB")),
    Row("H", "h11_max_incomplete_size", Spelling("max_request_head", head, "at most 1 MiB")),
    Row("Z", "max_request_head_bytes", Spelling("max_request_head", zig_head)),
    Row("G", "limit_request_line", Spelling("max_request_line", line, "0: 64 KiB")),
    Row("Z", "max_request_uri", Spelling("max_request_line", uri, "for the whole line")),
    Row("G", "limit_request_fields", Spelling("max_request_fields", fields, "0: 4096")),
    Row("G", "limit_request_field_size", Spelling("max_request_head", field_size, "for all fields together")),
    Row("H", "keep_alive_max_requests", Spelling("max_keepalive_requests")),
    Row("H", "wsgi_max_body_size", Fine("only WSGI apps have it")),
    # ---- TLS ----
    Row("GRH", "certfile ssl_certificate ssl_cert", Spelling("ssl_certfile")),
    Row("GRH", "keyfile ssl_key", Spelling("ssl_keyfile")),
    Row("RH", "keyfile_password ssl_key_password", Spelling("ssl_keyfile_password")),
    Row("UGRH", "ssl_ca_certs ca_certs ssl_ca", Spelling("ssl_ca_file")),
    Row("UGH", "ssl_cert_reqs cert_reqs verify_mode",
        Spelling("ssl_verify_client", client_certificates, "2 or CERT_REQUIRED; leave out other values")),
    Row("R", "ssl_client_verify", Spelling("ssl_verify_client"), FLAG),
    Row("GH", "ciphers", Spelling("ssl_ciphers")),
    Row("R", "ssl_protocol_min", Spelling("ssl_min_version", tls_version)),
    Row("UG", "ssl_version", Fine("saltare speaks TLS 1.2 and 1.3; --ssl-min-version 1.3 speaks only that")),
    Row("UG", "ssl_context_factory ssl_context", Refusal(CONTEXT)),
    Row("R", "ssl_crl", Refusal("saltare reads no lists of revoked certificates; let a proxy check them")),
    Row("H", "verify_flags", Fine("saltare checks the certificates of clients as Go does")),
    Row("H", "ssl_handshake_timeout", Fine("--header-timeout includes the handshake")),
    Row("GZ", "suppress_ragged_eofs do_handshake_on_connect ktls",
        Fine("the core speaks TLS by itself, and does not block"), FLAG),
    # ---- logs ----
    Row("GH", "loglevel", Spelling("log_level")),
    Row("GH", "logconfig log_config_json logconfig_json logconfig_dict", Spelling("log_config", log_file)),
    Row("R", "log_dictconfig", Spelling("log_config", log_file)),
    Row("R", "log log_enabled",
        Spelling("log_level", only_off({"log_level": "critical"}), "leave it out; with no-: `critical`"), FLAG),
    Row("H", "debug",
        Spelling(
            "log_level",
            only_when("", {"log_level": "debug"}),
            "`debug`; python -X dev -m saltare for asyncio's debug mode"), FLAG),
    Row("F", "verbose", Spelling("log_level", only_when("", {"log_level": "debug"}), "`debug`"), FLAG),
    Row("U", "use_colors", Fine("log lines have no colours"), FLAG),
    Row("GH", "error_logfile error_log errorlog log_file", Fine("saltare logs to stderr", "-", reason=STDERR)),
    Row("G", "capture_output enable_stdio_inheritance -R",
        Fine("what the app prints goes where saltare's own goes"), FLAG),
    Row("GH", "logger_class", Refusal("use --log-config")),
    Row("G", "log_syslog syslog", Refusal(SYSLOG), FLAG),
    Row("G", "log_syslog_to syslog_addr log_syslog_prefix syslog_prefix log_syslog_facility syslog_facility",
        Fine("without --log-syslog it has no effect")),
    Row("R", "log_access", Spelling("access_log"), EITHER),
    Row("GH", "access_logfile accesslog", Spelling("access_log_path", no_file)),
    Row("GRH", "access_logformat access_log_fmt log_access_fmt log_access_format", Spelling("access_log_format")),
    Row("G", "disable_redirect_access_to_syslog", Fine("the access log does not go to syslog"), FLAG),
    Row("GH", "statsd_host", Refusal(STATSD)),
    Row("GH", "statsd_prefix dogstatsd_tags", Fine("without --statsd-host it has no effect")),
    Row("G", "enable_backlog_metric", Fine("without --statsd-host it has no effect"), FLAG),
    # ---- answered by the server ----
    Row("R", "metrics metrics_enabled",
        Spelling("metrics_path", only_when("", {"metrics_path": "/metrics"}), "`/metrics`, on the app's port"), FLAG),
    Row("R", "metrics_address metrics_port", Refusal("write --admin-bind ADDRESS:PORT, with --metrics-path")),
    Row("R", "metrics_scrape_interval", Fine("metrics are always current")),
    Row("R", "static_path_mount static_path_route", Refusal(STATIC)),
    Row("R", "static_path_dir_to_file static_path_expires", Fine(NO_STATIC)),
    Row("Z", "latency_histogram", Fine("--metrics-path always has a histogram"), FLAG),
    Row("Z", "dispatch_path", Refusal(IN_APP)),
    Row("Z", "dispatch_token", Fine("without --dispatch-path it has no effect")),
)
# fmt: on

BY_NAME = {name: row for row in ROWS for name in row.names}


def is_spelling(row):
    return isinstance(row.meaning, Spelling)


def kind(row):
    """The kind of value of our option; None: the name is no spelling of one."""
    option = our_option(row)
    return option and option.kind


def without_value(row):
    """What is said where the value of the name is missing."""
    if isinstance(row.meaning, Refusal):
        return row.meaning.reason
    if isinstance(row.meaning, Fine):
        return f"leave it out: {row.meaning.why}"
    option = our_option(row)
    return f"a value is missing; {row.meaning.advice() if option is None else f'accepted: {option.kind.accepts}'}"


def our_option(row):
    from .table import BY_NAME as OURS

    return OURS.get(row.meaning.name) if is_spelling(row) else None


# ---- variables ----

# uvicorn's command line reads UVICORN_<KEYWORD>; a text of several values is split at these, None: at white space.
SEPARATORS = {"reload_dirs": ":", "reload_includes": None, "reload_excludes": None, "headers": None}


def of_uvicorn(names):
    """The variables that uvicorn reads, as keywords; it passes over all others."""
    known = {"app", *SHARED["U"].split(), *(name for row in ROWS if "U" in row.programs for name in row.names)}
    return {
        name: value.split(SEPARATORS[name]) if name in SEPARATORS else value
        for name, value in names.items()
        if name in known and value
    }


def not_read(environ, theirs):
    """A line for each kind of variable that is set in vain."""
    if "GUNICORN_CMD_ARGS" in theirs:
        yield "GUNICORN_CMD_ARGS is not read: write its options on the command line, or as SALTARE_BIND and so on"
    if names := sorted(name for name in theirs if name != "GUNICORN_CMD_ARGS"):
        ours = [one for name in names for one in instead(name.partition("_")[2].lower(), environ[name])]
        advice = f"write {', '.join(dict.fromkeys(ours))}" if ours else "leave them out"
        yield f"variables of granian are not read: {', '.join(names)}; {advice}"


def instead(name, value):
    """What to write for a keyword of granian and its value; perhaps nothing."""
    if name in SHARED["R"].split():
        return [f"SALTARE_{name.upper()}"]
    try:
        return [f"SALTARE_{ours.upper()}" for ours in BY_NAME[name].turn(value)]
    except (KeyError, Refused):
        return ["options on the command line"]
