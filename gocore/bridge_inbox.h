/* bridge_inbox.h: the part of bridge.h that a turn returns: events, and the requests that they bring. */
#ifndef SALTARE_BRIDGE_INBOX_H
#define SALTARE_BRIDGE_INBOX_H

#include <stdint.h>

enum saltare_event_kind {
    EVENT_REQUEST = 1, /* data: struct saltare_request. A new stream */
    EVENT_BODY,        /* data, len: a piece of the request body; flags: EVENT_LAST. C joins pieces that wait for the app */
    EVENT_DISCONNECT,  /* the stream's peer has disconnected or was dropped; the stream has ended */
    EVENT_DRAINED,     /* reply to COMMAND_NOTIFY: enough of the response has been sent */
    EVENT_RELEASE,     /* stream: the token of a COMMAND_BODY_REF whose bytes are no longer needed */
    EVENT_FD,          /* stream: a descriptor of saltare_watch; flags: its EPOLL* bits */
    EVENT_LOG,         /* data, len: one line of UTF-8; flags: LOG_* */
    EVENT_RETIRE,      /* data, len: one line of UTF-8 with the reason to replace this worker. Once */
    EVENT_WS_EXPECT,   /* len: bytes of a message that will follow in pieces, so that C can reserve room for them */
    EVENT_WS_DATA,     /* data, len: bytes of a message; a whole text message is valid UTF-8; flags: EVENT_TEXT, EVENT_LAST */
    EVENT_WS_CLOSE,    /* the websocket has closed; flags: close code; data, len: the reason, UTF-8. The stream has ended */
    EVENT_HALF_CLOSE,  /* the peer has sent its whole request and half-closed, and the app has sent nothing for a second. The peer
                          may have gone, or may be waiting for the response: the stream stays open, commands are carried out. The
                          same while the server drains, for an event stream at once, and for another stream without a declared
                          length when it is silent. Once; never for a websocket */
};

enum saltare_event_flags {
    EVENT_LAST = 1,     /* of EVENT_REQUEST and EVENT_BODY: end of the request body; of EVENT_WS_DATA: end of the message */
    EVENT_CONTINUE = 2, /* of EVENT_REQUEST: the peer waits for COMMAND_CONTINUE (RFC 9110 10.1.1) */
    EVENT_SILENT = 4,   /* of EVENT_REQUEST: the response body will not be sent (RFC 9110 9.3.2: HEAD) */
    EVENT_WEBSOCKET = 8, /* of EVENT_REQUEST: a websocket handshake (RFC 6455 4.2.1) */
    EVENT_TEXT = 16,    /* of EVENT_WS_DATA: the message is text */
    EVENT_CODINGS = 32, /* of EVENT_REQUEST: the peer accepts a coded (compressed) response (RFC 9110 12.5.3) */
    EVENT_CANCEL = 64,  /* of EVENT_DISCONNECT: the app's time is over, and its task is to be cancelled */
    EVENT_ID = 128,     /* of EVENT_REQUEST: behind the fields stands another one, whose value is the request's id */
    EVENT_TRACE = 256,  /* of EVENT_REQUEST: behind those stand two more, whose values are traceparent, and tracestate or nothing */
    EVENT_TLS = 512,    /* of EVENT_REQUEST: the connection speaks TLS; struct saltare_tls follows struct saltare_request */
};

enum saltare_log_level { LOG_DEBUG = 1, LOG_ERROR = 2, LOG_WARNING = 3 };

/* Owns: the server owns the memory, which is valid until its next turn. */
struct saltare_event {
    uint32_t kind, flags;
    uint64_t stream;
    const void *data;
    uint64_t len;
};

struct saltare_span {
    uint32_t off, len;
}; /* bytes, from saltare_request.head */

struct saltare_field {
    struct saltare_span name, value; /* name in lower case */
    uint32_t id;                     /* index of saltare_known_name, 0: none */
};

enum saltare_family { FAMILY_UNIX = 0, FAMILY_INET = 4, FAMILY_INET6 = 6 };

enum saltare_scheme { SCHEME_HTTP = 1, SCHEME_HTTPS = 2 };

struct saltare_address {
    uint8_t ip[16]; /* network order; the first 4 bytes for FAMILY_INET */
    uint16_t port, family;
};

struct saltare_request {
    const uint8_t *head; /* base of every span */
    const uint8_t *path; /* percent-decoded; may be invalid UTF-8 */
    const struct saltare_field *fields;
    const uint8_t *body; /* the part of the body received together with the head */
    const struct saltare_span *subprotocols; /* offered by the peer, with EVENT_WEBSOCKET */
    uint32_t path_len, n_fields, body_len;
    struct saltare_span method, raw_path, query;
    uint32_t minor;    /* 0: HTTP/1.0, 1: HTTP/1.1 */
    uint32_t listener; /* index into the array given to saltare_listen */
    uint32_t n_subprotocols;
    struct saltare_address client; /* the peer, or the client that a proxy names who is believed */
    struct saltare_address local; /* of connections to a wildcard listener, or from the PROXY protocol; else FAMILY_UNIX */
    /* What a proxy says who is believed; 0 or empty: nothing. */
    uint32_t scheme, port;            /* SCHEME_*; the server's port */
    struct saltare_span host, prefix; /* of the server, without brackets; the root path */
};

#define SALTARE_TLS_KEY 32
/* What a request's connection has agreed on in its TLS handshake. Certificates are texts in PEM. */
struct saltare_tls {
    uint8_t key[SALTARE_TLS_KEY]; /* the same for the same certificates of both sides, and for no others */
    const uint8_t *server;        /* the certificate of the server */
    const uint8_t *chain;         /* n_chain certificates of the client, its own first, without gaps */
    const uint32_t *lengths;      /* of each of them */
    const uint8_t *name;          /* the client's distinguished name (RFC 4514), UTF-8; empty: it has given no certificate */
    uint32_t server_len, n_chain, name_len;
    uint32_t version, suite; /* as in the protocol: 0x0304 is TLS 1.3 */
};

#endif
