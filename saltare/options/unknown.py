"""What to write instead of a name that neither saltare nor another server has, or of an argument too many."""

import re
from difflib import get_close_matches

from .foreign import BY_NAME as ROWS
from .meanings import Fine, Refusal
from .table import BY_NAME

ALIKE, SOMEWHAT = 0.88, 0.7  # ratios of difflib: a typing error, and names that resemble each other

# Words that people use for a subject, and the option or the name of another server that answers for it. A name is
# looked up as a whole, then by its parts; what stands first counts.
SUBJECTS = {
    "ws_per_message_deflate": "ws_compression websocket_compression permessage_deflate",
    "ws_keepalive_timeout": "ping_interval ping_timeout ws_ping ping",
    "ws_max_size": "ws_max max_message_size message_size",
    "ws": "websocket ws_enabled",
    "ssl_certfile": "tls ssl https mtls cert certs certificate certificates certfile key keys keyfile pem ca cacert "
    "sni alpn acme letsencrypt",
    "http2": "http2 h2 h2c http_2",
    "quic_bind": "http3 h3 http_3 quic",
    "http": "http1 http11 http1_1 http_version",
    "forwarded_allow_ips": "trusted_proxies trusted_proxy trusted_hosts trusted_ips proxy_ips allow_ips forwarded_ips "
    "real_ip",
    "proxy_headers": "proxy proxies behind_proxy forwarded trust xff",
    "server_names": "allowed_hosts allowed_host hosts",
    "access_log": "access accesslog access_logs log_requests log_request request_log request_logs requests_log",
    "log_config": "log_format log_fmt log_json json_log json_logs logger format",
    "syslog": "journald",
    "log_level": "quiet silent verbosity loglevel level",
    "log_file": "log logs logging logfile log_path log_dir log_output stderr stdout",
    "use_colors": "color colors colour colours",
    "response_gzip": "compress compression gzip brotli br zstd deflate",
    "static_path_mount": "static assets media",
    "metrics": "prometheus stats",
    "statsd_host": "statsd",
    "health_path": "health healthcheck healthz ping_path",
    "cors_preflight_allow_all": "cors origin origins",
    "user": "uid chroot",
    "group": "gid",
    "pid": "pidfile",
    "daemon": "daemonize background detach",
    "threads": "thread",
    "header_timeout": "read_header_timeout head_timeout",
    "keep_alive_timeout": "idle_timeout keepalive_timeout idle",
    "body_timeout": "request_timeout receive_timeout",
    "write_timeout": "send_timeout response_timeout",
    "shutdown_timeout": "graceful grace stop_timeout shutdown drain_timeout graceful_shutdown",
    "timeout": "worker_timeout timeouts",
    "max_concurrent_connections": "max_conn max_connections connections",
    "limit_concurrency": "concurrency",
    "max_request_body": "max_body max_body_size body_limit body_size client_max_body_size max_upload max_upload_size "
    "upload_size",
    "limit_max_requests": "max_request",
    "limit_max_rss": "memory_limit max_memory max_mem rss",
    "park_memory": "park",
    "workers": "worker num_workers n_workers workers_count worker_count process processes procs instances fork",
    "preload": "prefork",
    "uds": "unix unix_socket socket sock",
    "bind": "bind_address listen listeners endpoint",
    "host": "addr hostname ip interface_ip",
    "port": "ports",
    "reload_dir": "watch_dir watch_dirs",
    "reload": "watch autoreload auto_reload reloader hot_reload reload_all dev development",
    "root_path": "prefix base_path script_name path_prefix mount subpath base_url",
    "chdir": "cwd cd directory workdir",
    "config": "conf config_file configuration settings",
    "env_file": "dotenv environment env_path",
    "loop": "uvloop asyncio event_loop",
    "interface": "wsgi asgi2 asgi3",
    "app_dir": "path python_path",
    "app": "application module asgi target",
}
BY_WORD = {word: name for name, words in SUBJECTS.items() for word in words.split()}


APP = re.compile(r"[^\W\d][\w.]*:[^\W\d][\w.]*|.*\.py")
DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212"  # word processors put one in the place of two hyphens


def too_many(text, app, previous, label):
    """What to write instead of an argument beside the app; None: there is no guess.

    `previous`: the flag just before the argument, its value or True, and whether it may be repeated; or None.
    """
    bare = text.lstrip(DASHES)
    name, equals, value = bare.partition("=")
    known = name.replace("-", "_").lower()
    if text.isdigit() and len(text) > 1:
        return f"did you mean --port {text}?"
    if known != "app" and (known in BY_NAME or known in ROWS):
        return f"did you mean {label(known)}{equals}{value}?"
    if bare != text:
        return "an option starts with two hyphens"
    flag, before, many = previous or (None, None, False)
    if many:
        return f"did you mean {flag} {before} {flag} {text}?"
    if APP.fullmatch(text):
        return f"one app is served; leave {app!r} or {text!r} out"
    if flag is None:
        return None
    return f"{flag} takes {'no value' if isinstance(before, bool) else 'one value; put quotes around one with spaces'}"


def unknown(name, given, label):
    """The text after the name; `given` is such as ", got 5", and `label` spells a name."""
    bare = name.strip("-").replace("-", "_").lower()
    found = meant(bare.removeprefix("no_"))
    return f"unknown option{given}; {hint(found, label) if found else 'see saltare --help for those that are accepted'}"


def meant(name):
    """Our option or the name of another server that is closest, or None."""
    known = [*BY_NAME, *(one for one in ROWS if not one.startswith("-"))]
    if not name or name in BY_WORD:
        return BY_WORD.get(name)
    if close := get_close_matches(name, known, 1, ALIKE):
        return close[0]
    if found := {BY_WORD[part] for part in name.split("_") if part in BY_WORD}:
        return min(found, key=list(SUBJECTS).index)
    useful = [one for one in known if one in BY_NAME or not isinstance(ROWS[one].meaning, (Fine, Refusal))]
    if close := get_close_matches(name, useful, 1, SOMEWHAT):
        return close[0]
    found = [one for one in name.split("_") if one in BY_NAME] or [one for one in known if one.startswith(name)]
    return found[0] if found else None


def hint(name, label):
    """What to write; for a name that is not accepted, why."""
    text = f"did you mean {label(name)}?" if name != "app" else "the app is an argument, such as main:app"
    meaning = None if name in BY_NAME else ROWS[name].meaning
    if isinstance(meaning, Refusal):
        return f"{text} It is not accepted: {meaning.reason}"
    if isinstance(meaning, Fine):
        return f"{text} {'Most values are not accepted' if meaning.words else 'It needs nothing'}: {meaning.reason}"
    return text
