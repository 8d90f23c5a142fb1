"""Cases besides the corpus: known ways to make two readers of one connection see different requests."""

GET = "GET /next HTTP/1.1\r\nHost: example.com\r\n\r\n"
LENGTH = "Content-Length: 5\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"
CHUNKS = "5\r\nhello\r\n0\r\n\r\n"


def request(fields, body="", method="POST"):
    return f"{method} / HTTP/1.1\r\nHost: example.com\r\n{fields}\r\n{body}"


def in_chunks(body, method="POST"):
    return request(CHUNKED, body, method)


TEXT = {
    "body-after-get": request("", "hello\r\n" + GET, "GET"),
    "body-chunked-delete": in_chunks(CHUNKS + GET, "DELETE"),
    "body-chunked-get": in_chunks(CHUNKS + GET, "GET"),
    "body-chunked-head": in_chunks(CHUNKS + GET, "HEAD"),
    "body-chunked-options": in_chunks(CHUNKS + GET, "OPTIONS"),
    "body-length-head": request(LENGTH, "hello" + GET, "HEAD"),
    "body-length-options": request(LENGTH, "hello" + GET, "OPTIONS"),
    "body-longer-than-length": request(LENGTH, "hello world\r\n" + GET),
    "body-of-a-request": request(f"Content-Length: {len(GET)}\r\n", GET + GET),
    "body-without-length": request("", "hello\r\n" + GET),
    "chunk-data-of-a-request": in_chunks(f"{len(GET):x}\r\n{GET}\r\n0\r\n\r\n" + GET),
    "chunk-extension-quoted-line": in_chunks('5;a="b\r\nhello\r\n0\r\n\r\n' + GET),
    "chunk-extension-quoted-semicolon": in_chunks('5;a="b;c"\r\nhello\r\n0\r\n\r\n' + GET),
    "chunk-last-many-zeros": in_chunks("5\r\nhello\r\n000\r\n\r\n" + GET),
    "chunk-size-form-feed": in_chunks("5\f\r\nhello\r\n0\r\n\r\n" + GET),
    "chunk-size-nul": in_chunks("5\0\r\nhello\r\n0\r\n\r\n" + GET),
    "chunk-trailer-coding": in_chunks("0\r\nTransfer-Encoding: chunked\r\n\r\n" + GET),
    "chunk-trailer-host": in_chunks("0\r\nHost: other.example\r\n\r\n" + GET),
    "coding-after-nul": request("A: b\0\r\n" + CHUNKED, CHUNKS + GET),
    "coding-before-length-underscore": request(CHUNKED + "Content_Length: 5\r\n", CHUNKS + GET),
    "coding-capital": request("Transfer-Encoding: CHUNKED\r\n", CHUNKS + GET),
    "coding-folded": request("Transfer-Encoding:\r\n chunked\r\n", CHUNKS + GET),
    "coding-form-feed": request("Transfer-Encoding: \fchunked\r\n", CHUNKS + GET),
    "coding-nul-after": request("Transfer-Encoding: chunked\0\r\n", CHUNKS + GET),
    "coding-space-after": request("Transfer-Encoding: chunked \r\n", CHUNKS + GET),
    "coding-space-before-colon": request(LENGTH + "Transfer-Encoding : chunked\r\n", CHUNKS + GET),
    "coding-tab-before": request("Transfer-Encoding:\tchunked\r\n", CHUNKS + GET),
    "coding-underscore": request(LENGTH + "Transfer_Encoding: chunked\r\n", "hello" + GET),
    "coding-vertical-tab": request("Transfer-Encoding: \vchunked\r\n", CHUNKS + GET),
    "connection-names-coding": request("Connection: transfer-encoding\r\n" + CHUNKED, CHUNKS + GET),
    "connection-names-host": request("Connection: host\r\n", GET),
    "connection-names-length": request("Connection: content-length\r\n" + LENGTH, "hello" + GET),
    "expect-and-body": request(LENGTH + "Expect: 100-continue\r\n", "hello" + GET),
    "expect-and-chunks": request(CHUNKED + "Expect: 100-continue\r\n", CHUNKS + GET),
    "length-minus-zero": request("Content-Length: -0\r\n", GET),
    "length-octal": request("Content-Length: 0o5\r\n", "hello" + GET),
    "length-space-after": request("Content-Length: 5 \r\n", "hello" + GET),
    "length-tab-before": request("Content-Length:\t5\r\n", "hello" + GET),
    "length-zero-then-text": request("Content-Length: 0\r\n", "hello" + GET),
    "line-form-feed": f"GET\f/\fHTTP/1.1\r\nHost: example.com\r\n\r\n{GET}",
    "method-lower": request("", GET, "get"),
    "target-escaped-line-end": f"GET /a%0d%0aHost:%20b HTTP/1.1\r\nHost: example.com\r\n\r\n{GET}",
    "target-escaped-nul": f"GET /a%00b HTTP/1.1\r\nHost: example.com\r\n\r\n{GET}",
    "upgrade-and-body": request(LENGTH + "Connection: upgrade\r\nUpgrade: other\r\n", "hello" + GET),
}

CASES = {f"desync-{name}": text.encode("latin-1") for name, text in TEXT.items()}
