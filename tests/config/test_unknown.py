"""Names that nobody has: the suggestion is of the same subject, and says what to do if that is not accepted."""

import pytest

from saltare.options.foreign import BY_NAME as ROWS
from saltare.options.sources import flag_of
from saltare.options.table import BY_NAME
from saltare.options.unknown import SUBJECTS, unknown

# The flags that a suggestion for these words may name; or any that begins with one of them.
EXPECTED = {
    ("--ssl-", "--certfile", "--keyfile"): "tls ssl https mtls tls-cert tls-key tls-cert-file cert certs certificate "
    "key private-key cert-file key-file ca ca-file cacert ssl-verify client-cert tls-version sni acme letsencrypt "
    "https-port enable-tls no-tls ssl-pem",
    ("--http2",): "h2 h2c http-2 enable-http2",
    ("--quic-bind",): "http3 h3 quic",
    ("--http",): "http1 http11 http1-1 http-version",
    ("--proxy-headers", "--forwarded-allow-ips"): "proxy proxies behind-proxy trusted-proxy trusted-proxies "
    "trusted-hosts trust-proxy forwarded forwarded-ips forwarded-for x-forwarded-for real-ip proxy-header",
    ("--access-log",): "access access-logs no-access-logs access-log-file log-requests log-request acess-log",
    ("--log-config",): "log-format log-json json-logs json-log logger",
    ("--log-file",): "logs logging logfile log-path log-dir log-output",
    ("--log-level",): "quiet silent verbosity",
    ("--use-colors",): "color colors colour use-color no-color no-colors",
    ("--response-gzip",): "compress compression gzip brotli",
    ("--metrics",): "prometheus stats",
    ("--workers",): "worker num-workers process processes n-workers",
    ("--reload",): "watch autoreload auto-reload reload-all dev",
    ("--max-request-body",): "max-body max-body-size client-max-body-size body-limit",
    ("--shutdown-timeout",): "graceful grace stop-timeout shutdown",
    ("--uds",): "unix unix-socket socket",
    ("--host",): "addr ip hostname",
    ("--port",): "ports prot",
    ("--user",): "uid",
    ("--pid",): "pidfile-path",
    ("--env-file",): "dotenv environment",
}


@pytest.mark.parametrize("flags", EXPECTED, ids=" ".join)
def test_a_suggestion_of_the_same_subject(flags):
    for word in EXPECTED[flags].split():
        said = unknown(word.replace("-", "_"), "", flag_of)
        assert said.startswith("unknown option; did you mean --"), word
        assert said.partition("did you mean ")[2].startswith(flags), word


def test_every_subject_is_a_name_and_every_word_stands_once():
    assert set(SUBJECTS) <= {*BY_NAME, *ROWS}
    words = [word for words in SUBJECTS.values() for word in words.split()]
    assert len(words) == len(set(words))


def test_what_is_not_accepted_is_said_at_once(typed):
    from saltare.errors import ConfigError

    with pytest.raises(ConfigError) as caught:
        typed("main:app --tls yes --log-dir x --thread 4")
    tls, folder, thread = caught.value.problems
    assert tls == "--tls: unknown option, got 'yes'; did you mean --ssl-certfile?"
    assert "did you mean --log-file? Most values are not accepted: saltare logs to stderr; write 2>> FILE" in folder
    assert "did you mean --threads? It needs nothing: the app runs in one event loop per worker" in thread


def test_the_app():
    assert unknown("module", "", flag_of) == "unknown option; the app is an argument, such as main:app"


def test_nothing_like_it():
    assert unknown("-Z", "", flag_of) == unknown("zzz", "", flag_of)
    assert unknown("zzz", ", got 5", flag_of) == "unknown option, got 5; see saltare --help for those that are accepted"
