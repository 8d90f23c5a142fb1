"""What a server does with its certificates: bad ones, several, changed ones, those of clients, and tickets."""

import datetime
import http.client
import os
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

import saltare
from harness import Process, wait_until

HOUR = datetime.timedelta(hours=1)


def dial(server, authority, name="localhost", context=None):
    context = context or authority.context(check_hostname=False)
    raw = socket.create_connection(("localhost", server.port), 30)
    return context.wrap_socket(raw, server_hostname=name)


def get(server, context, path="/"):
    with urllib.request.urlopen(f"https://localhost:{server.port}{path}", context=context, timeout=30) as answer:
        return answer.read()


def serial(server, authority, name="localhost"):
    with dial(server, authority, name) as one:
        return one.getpeercert()["serialNumber"]


def names(server, authority, name):
    with dial(server, authority, name) as one:
        return {value for _, value in one.getpeercert()["subjectAltName"]}


# ---- bad input ----


@pytest.fixture
def files(authority, localhost, tmp_path):
    other, other_key = authority.issue("other")
    expired, expired_key = authority.issue("expired", valid_for=-HOUR)
    (tmp_path / "empty").write_text("")
    unreadable = tmp_path / "secret"
    unreadable.mkdir()
    return {
        "good": localhost[0],
        "good key": localhost[1],
        "other key": other_key,
        "expired": expired,
        "expired key": expired_key,
        "empty": str(tmp_path / "empty"),
        "a folder": str(unreadable),
        "none": str(tmp_path / "none.pem"),
    }


WRONG = {
    ("none", "good key"): "ssl_certfile: {none}: cannot be read: no such file or directory",
    ("a folder", "good key"): "ssl_certfile: {a folder}: cannot be read: is a directory",
    ("good", "none"): "ssl_keyfile: {none}: cannot be read: no such file or directory",
    ("empty", "good key"): "ssl_certfile: {empty}: contains no certificate in PEM",
    ("good", "other key"): "ssl_keyfile: {other key}: is not the key of the certificate in {good}",
    ("expired", "expired key"): "ssl_certfile: {expired}: expired on ",
    ("good", None): "ssl_certfile: {good}: contains no private key; name its file with ssl_keyfile",
    (None, "good key"): "--ssl-keyfile: given without a certificate; name its file with ssl_certfile",
}


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("pair", WRONG, ids=[" with ".join(map(str, pair)) for pair in WRONG])
def test_a_bad_certificate_ends_the_start(files, pair, workers):
    command = [sys.executable, "-m", "saltare", "tls_apps:app", "--port", "0", "--workers", workers]
    for flag, name in zip(("--ssl-certfile", "--ssl-keyfile"), pair, strict=True):
        command += [flag, files[name]] if name else []
    done = subprocess.run(command, cwd=os.path.dirname(__file__), capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    assert WRONG[pair].format(**files) in done.stderr
    assert "Traceback" not in done.stderr
    assert "listening on" not in done.stderr or workers == "2"


def test_as_an_exception(files):
    with (
        pytest.raises(saltare.ConfigError, match="is not the key of the certificate"),
        saltare.running("tls_apps:app", port=0, ssl_certfile=files["good"], ssl_keyfile=files["other key"]),
    ):
        pass


OPTIONS = {
    (
        "--ssl-ciphers",
        "AES128-SHA",
    ): "--ssl-ciphers: got 'AES128-SHA' ('AES128-SHA' is not one of them); accepted: names",
    ("--ssl-min-version", "1.1"): "--ssl-min-version: got '1.1'; accepted: 1.2 or 1.3",
    ("--ssl-verify-client",): "--ssl-verify-client: got True, but no authorities; name their file with ssl_ca_file",
    ("--ssl-keyfile", "again.key"): "--ssl-keyfile: got '{good key}', 'again.key', but there are 1 certificates",
    ("--ssl-ca-file", "{empty}"): "ssl_ca_file: {empty}: contains no certificate in PEM",
    ("--tls-session-cache-size", "-1"): "--tls-session-cache-size: got '-1'; accepted: a whole number from 0 to",
}


@pytest.mark.parametrize("more", OPTIONS, ids=[" ".join(more) for more in OPTIONS])
def test_bad_options(files, more):
    given = [one.format(**files) for one in more]
    command = [sys.executable, "-m", "saltare", "tls_apps:app", "--port", "0"]
    command += ["--ssl-certfile", files["good"], "--ssl-keyfile", files["good key"], *given]
    done = subprocess.run(command, cwd=os.path.dirname(__file__), capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    assert OPTIONS[more].format(**files) in done.stderr


# ---- certificates ----


def test_the_name_chooses_the_certificate(cli_server, authority, localhost):
    other = authority.issue("other.test", "*.other.test")
    server = cli_server(
        "tls_apps:app",
        *("--ssl-certfile", localhost[0], "--ssl-keyfile", localhost[1]),
        *("--ssl-certfile", other[0], "--ssl-keyfile", other[1]),
    )
    assert names(server, authority, "other.test") == {"other.test", "*.other.test"}
    assert "other.test" in names(server, authority, "a.other.test")
    assert "localhost" in names(server, authority, "localhost")
    assert "localhost" in names(server, authority, "unknown.test")


def test_key_in_the_file_of_the_certificate(cli_server, authority, localhost, tmp_path):
    both = tmp_path / "both.pem"
    both.write_text("".join(open(name).read() for name in localhost))
    server = cli_server("tls_apps:app", "--certfile", both)
    assert get(server, authority.context()) == b"https"


def test_a_key_with_a_password(cli_server, authority, localhost, tmp_path):
    encrypted = tmp_path / "encrypted.key"
    command = ["openssl", "pkcs8", "-topk8", "-in", localhost[1], "-out", encrypted, "-passout", "pass:s e c r e t"]
    subprocess.run(command, check=True)
    command = [sys.executable, "-m", "saltare", "tls_apps:app", "--port", "0"]
    command += ["--ssl-certfile", localhost[0], "--ssl-keyfile", encrypted]
    for given, words in (
        ([], "is encrypted; give its password with ssl_keyfile_password"),
        (["--ssl-keyfile-password", "x"], "its password is wrong"),
    ):
        done = subprocess.run(
            [*command, *given], cwd=os.path.dirname(__file__), capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, words in done.stderr) == (2, True), done.stderr
    server = cli_server(
        "tls_apps:app",
        *("--ssl-certfile", localhost[0], "--ssl-keyfile", encrypted),
        env={"SALTARE_SSL_KEYFILE_PASSWORD": "s e c r e t"},
    )
    assert get(server, authority.context()) == b"https"
    with open(f"/proc/{server.pid}/cmdline", "rb") as file:
        assert b"s e c r e t" not in file.read()


def test_the_password_is_not_shown(localhost):
    command = [
        sys.executable,
        "-m",
        "saltare",
        "tls_apps:app",
        "--ssl-certfile",
        localhost[0],
        "--ssl-keyfile-password",
    ]
    done = subprocess.run(
        [*command, "hush", "--print-config"], capture_output=True, text=True, timeout=60, cwd=os.path.dirname(__file__)
    )
    assert "# ssl_keyfile_password" in done.stdout and "hush" not in done.stdout, done.stderr
    assert "hush" not in repr(saltare.Config("a:b", ssl_certfile="a", ssl_keyfile_password="hush").options())


@pytest.mark.parametrize("workers", ["1", "2"])
def test_changed_files_are_loaded_without_a_dropped_connection(cli_server, authority, tmp_path, workers):
    certificate, key = authority.issue("localhost", name=str(tmp_path / "changing"))
    server = cli_server("tls_apps:app", "--workers", workers, "--ssl-certfile", certificate, "--ssl-keyfile", key)
    first = serial(server, authority)
    kept = http.client.HTTPSConnection("localhost", server.port, context=authority.context(), timeout=30)
    kept.request("GET", "/")
    assert kept.getresponse().read() == b"https"
    authority.issue("localhost", name=str(tmp_path / "changing"))
    wait_until(lambda: serial(server, authority) != first)
    sock = kept.sock
    kept.request("GET", "/")
    assert kept.getresponse().read() == b"https"
    assert kept.sock is sock, "the connection was dropped"
    kept.close()
    server.wait_for_log(f"the certificates have changed and are loaded: {certificate}, valid until ")


def test_changed_files_that_cannot_be_used(cli_server, authority, tmp_path):
    certificate, key = authority.issue("localhost", name=str(tmp_path / "changing"))
    server = cli_server("tls_apps:app", "--ssl-certfile", certificate, "--ssl-keyfile", key)
    first = serial(server, authority)
    with open(certificate, "w") as file:
        file.write("nothing\n")

    def logged():
        assert serial(server, authority) == first
        return "the old ones stay: ssl_certfile: " in server.logs()

    wait_until(logged)


def test_sighup_loads_them_too(cli_server, authority, tmp_path):
    import signal

    certificate, key = authority.issue("localhost", name=str(tmp_path / "changing"))
    server = cli_server("tls_apps:app", "--ssl-certfile", certificate, "--ssl-keyfile", key)
    first = serial(server, authority)
    authority.issue("localhost", name=str(tmp_path / "changing"))
    server.popen.send_signal(signal.SIGHUP)
    wait_until(lambda: server.logs().count("listening on https://") == 2)
    assert serial(server, authority) != first
    assert get(server, authority.context()) == b"https"


# ---- clients ----


def test_certificates_of_clients(tls_server, authority, tmp_path):
    from certificates import Authority

    other = Authority(tmp_path)
    known, unknown = authority.issue("client"), other.issue("client")
    for required in ([], ["--ssl-verify-client"]):
        server = tls_server("--ssl-ca-file", authority.certificate, *required)
        assert get(server, authority.context(certificate=known)) == b"https"
        if required:
            refused(server, authority.context(), "client didn't provide a certificate")
        else:
            assert get(server, authority.context()) == b"https"
            refused(server, authority.context(certificate=unknown), "certificate signed by unknown authority")


def refused(server, context, why):
    with pytest.raises((urllib.error.URLError, OSError)):
        get(server, context)
    server.wait_for_log("failed: ")
    assert re.search(rf"WARNING the TLS handshake with 127\.0\.0\.1:\d+ failed: .*{why}", server.logs()), server.logs()


@pytest.mark.parametrize("spelled", [["--ssl-cert-reqs", "2"], ["--verify-mode", "CERT_REQUIRED"]], ids=" ".join)
def test_required_in_other_words(tls_server, authority, spelled):
    server = tls_server("--ssl-ca-certs", authority.certificate, *spelled)
    assert get(server, authority.context(certificate=authority.issue("client"))) == b"https"
    refused(server, authority.context(), "client didn't provide a certificate")


def test_plain_http_is_told(tls_server):
    server = tls_server()
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"http://localhost:{server.port}/", timeout=30)
    assert caught.value.code == 400
    assert b"This port speaks HTTPS" in caught.value.read()
    server.wait_for_log("failed: the client speaks plain HTTP")


# ---- tickets ----


def resumed_by_openssl(server, tmp_path, version):
    """How many of 8 connections, each with the ticket of the first, are resumed and then answered."""
    ticket = tmp_path / "ticket"
    command = ["openssl", "s_client", "-connect", f"localhost:{server.port}", version, "-ign_eof"]
    request = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    subprocess.run(
        [*command, "-sess_out", ticket], input=request, capture_output=True, text=True, timeout=30, check=False
    )
    if not ticket.exists():
        return 0
    count = 0
    for _ in range(8):
        done = subprocess.run(
            [*command, "-sess_in", ticket], input=request, capture_output=True, text=True, timeout=30, check=False
        )
        assert done.stdout.count("HTTP/1.1 200 OK") == 1, done.stdout
        count += "Reused, TLSv1" in done.stdout
    return count


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("workers", ["1", "3"])
def test_every_worker_accepts_the_tickets(tls_server, tmp_path, version, workers):
    assert resumed_by_openssl(tls_server("--workers", workers), tmp_path, version) == 8


def reused(server, context, session=None):
    """Whether a connection with that session resumed it, and the session of the next one."""
    with context.wrap_socket(
        socket.create_connection(("localhost", server.port), 30), server_hostname="localhost", session=session
    ) as one:
        one.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert one.recv(65536).startswith(b"HTTP/1.1 200 ")
        return one.session_reused, one.session


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize("args", [(), ("--workers", "2"), ("--workers", "2", "--no-preload")], ids=" ".join)
def test_tickets_outlive_a_sighup(tls_server, authority, version, args):
    import signal
    import ssl

    server = tls_server(*args)
    context = authority.context()
    context.maximum_version = ssl.TLSVersion[version]
    resumed, session = reused(server, context)
    assert not resumed
    for turn in range(2, 4):
        before = children(server.pid)
        server.popen.send_signal(signal.SIGHUP)
        if args:
            wait_until(
                lambda before=before: len(children(server.pid) - before) == 2 == len(children(server.pid)), server.logs
            )
        else:
            wait_until(lambda turn=turn: server.logs().count("listening on https://") == turn, server.logs)
        resumed, session = reused(server, context, session)
        assert resumed, server.logs()


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return set(map(int, file.read().split()))


def kept_in_memory(pid, secret):
    """The mappings that hold the secret, each with its flags (proc(5): smaps)."""
    found, at = [], None
    with open(f"/proc/{pid}/smaps") as smaps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in smaps:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                at = line.split()
            elif line.startswith("VmFlags:") and "r" in at[1]:
                start, end = (int(part, 16) for part in at[0].split("-"))
                try:
                    memory.seek(start)
                    text = memory.read(end - start)
                except (OSError, OverflowError):  # [vvar] and [vsyscall]
                    continue
                if secret in text:
                    found.append((" ".join(at), line.split()[1:]))
    return found


@pytest.mark.parametrize("args", [(), ("--workers", "2")], ids=["alone", "workers"])
def test_the_secret_of_tickets_is_in_no_dump(tls_server, authority, tmp_path, args):
    """It is neither in memory that is parked in a file, nor in a core dump: only where the flag dd is set."""
    parked = [] if args else ["--park-memory", str(tmp_path)]
    server = tls_server(*args, *parked)
    assert not reused(server, authority.context())[0]
    pids = [server.pid, *children(server.pid)]
    fds = f"/proc/{pids[-1]}/fd"
    secret_file = next(name for name in os.listdir(fds) if "saltare-tickets" in os.readlink(f"{fds}/{name}"))
    with open(f"{fds}/{secret_file}", "rb") as file:
        secret = file.read()
    assert len(secret) == 32
    for pid in pids:
        found = kept_in_memory(pid, secret)
        assert all("dd" in flags for _, flags in found), found
        assert len(found) == (not args or pid != server.pid), found


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_without_tickets(tls_server, tmp_path, version):
    assert resumed_by_openssl(tls_server("--tls-session-cache-size", "0"), tmp_path, version) == 0


# ---- OpenSSL ----


@pytest.mark.parametrize("group", ["X25519", "P-256", "P-384", "P-521"])
def test_groups(tls_server, group):
    """One that is not the first choice leads to a HelloRetryRequest."""
    server = tls_server()
    command = ["openssl", "s_client", "-connect", f"localhost:{server.port}", "-groups", group, "-ign_eof"]
    request = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    done = subprocess.run(command, input=request, capture_output=True, text=True, timeout=30, check=False)
    assert "HTTP/1.1 200 OK" in done.stdout


# ---- the two flavours ----


def test_only_tls_loads_the_full_core(tls_server, cli_server):
    assert "full core" in tls_server().logs()
    plain = cli_server("tls_apps:app")
    assert "plain core" in plain.logs()
    with open(f"/proc/{plain.pid}/maps") as file:
        assert "_core_full" not in file.read()


def test_workers_and_scheme(tls_server, authority):
    server = tls_server("--workers", "2")
    assert {get(server, authority.context()) for _ in range(5)} == {b"https"}
    assert server.url.startswith("https://")


def test_in_a_program(authority, localhost):
    from tls_apps import app

    with saltare.running(app, port=0, ssl_certfile=localhost[0], ssl_keyfile=localhost[1]) as server:
        assert server.url.startswith("https://")
        with urllib.request.urlopen(
            server.url.replace("127.0.0.1", "localhost"), context=authority.context(), timeout=30
        ) as answer:
            assert answer.read() == b"https"


def test_a_worker_of_gunicorn(authority, localhost, tmp_path):
    pytest.importorskip("gunicorn")
    command = [sys.executable, os.path.join(os.path.dirname(sys.executable), "gunicorn"), "--no-control-socket"]
    command += ["-k", "saltare.workers.SaltareWorker", "-b", "127.0.0.1:0", "-w", "2"]
    command += ["--certfile", localhost[0], "--keyfile", localhost[1], "tls_apps:app"]
    server = Process(command, tmp_path / "log", cwd=os.path.dirname(__file__))
    try:
        assert get(server, authority.context()) == b"https"
    finally:
        assert server.stop() == 0


def test_a_program_written_for_uvicorn(authority, localhost):
    code = "import saltare as uvicorn; uvicorn.run('tls_apps:app', port=0, ssl_certfile={!r}, ssl_keyfile={!r}, ssl_version=17)"
    command = [sys.executable, "-c", code.format(*localhost)]
    with subprocess.Popen(command, cwd=os.path.dirname(__file__), stderr=subprocess.PIPE, text=True) as program:
        try:
            port = int(re.search(r"listening on https://127\.0\.0\.1:(\d+)", program.stderr.readline())[1])
            with urllib.request.urlopen(
                f"https://localhost:{port}/", context=authority.context(), timeout=30
            ) as answer:
                assert answer.read() == b"https"
        finally:
            program.terminate()


def test_over_a_unix_socket(tls_server, authority, tmp_path):
    tls_server("--uds", tmp_path / "socket")
    raw = socket.socket(socket.AF_UNIX)
    raw.settimeout(30)
    raw.connect(str(tmp_path / "socket"))
    with authority.context().wrap_socket(raw, server_hostname="localhost") as one:
        one.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert one.recv(15) == b"HTTP/1.1 200 OK"
