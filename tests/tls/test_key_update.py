"""KeyUpdate (RFC 8446 4.6.3) with OpenSSL, in both directions, by the commands of its s_client."""

import subprocess

import pytest

from harness import wait_until

BODY = bytes(range(256))


class Client:
    """s_client, whose output has the messages of TLS as well."""

    def __init__(self, server, authority, output, suite):
        command = [
            "openssl",
            "s_client",
            "-connect",
            f"localhost:{server.port}",
            "-CAfile",
            authority.certificate,
            "-msg",
        ]
        self._output, self._answers = output, 0
        with open(output, "wb") as file:
            self.popen = subprocess.Popen(
                [*command, "-tls1_3", "-ciphersuites", suite],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                bufsize=0,
            )
        self._wait(lambda: b"Verify return code: 0 (ok)" in self.said())

    def said(self):
        return self._output.read_bytes()

    def _wait(self, condition):
        wait_until(condition, lambda: self.said().decode(errors="replace"))

    def updates(self, sign):
        """How many KeyUpdate messages were sent (>>>) or received (<<<)."""
        lines = self.said().splitlines()
        return sum(line.startswith(sign) and line.endswith(b", KeyUpdate") for line in lines)

    def request(self):
        """One request; its response comes in records of the server's present key."""
        self.popen.stdin.write(b"GET /bytes/256 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self._answers += 1
        self._wait(lambda: self.said().count(BODY) == self._answers)

    def change_key(self, letter):
        """The client's own key changes. K asks the server to change its key too, k does not."""
        before = self.updates(b">>>")
        self.popen.stdin.write(letter + b"\n")
        self._wait(lambda: self.updates(b">>>") == before + 1)

    def end(self):
        self.popen.stdin.close()
        return self.popen.wait(30)


@pytest.mark.parametrize("suite", ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"])
def test_with_openssl(tls_server, authority, tmp_path, suite):
    server = tls_server()
    client = Client(server, authority, tmp_path / "output", suite)
    try:
        client.request()
        assert client.updates(b"<<<") == 0
        client.change_key(b"k")
        client.request()
        assert client.updates(b"<<<") == 0, "the server was not asked for a new key"
        for turn in range(1, 4):
            client.change_key(b"K")
            client.request()
            assert client.updates(b"<<<") == turn
            client.request()
            client.change_key(b"k")
            client.request()
            assert client.updates(b"<<<") == turn
        assert client.end() == 0, client.said()
    finally:
        client.popen.kill()
        client.popen.wait()
