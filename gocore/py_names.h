/* py_names.h: names of what the state of a module holds, each listed once. */
#ifndef SALTARE_PY_NAMES_H
#define SALTARE_PY_NAMES_H

/* DO(member, spec): the types. */
#define EACH_TYPE(DO)                    \
    DO(core_type, py_core_spec)          \
    DO(exchange_type, py_exchange_spec)  \
    DO(websocket_type, py_websocket_spec)   \
    DO(awaitable_type, py_awaitable_spec) \
    DO(run_type, py_run_spec)            \
    DO(starter_type, py_starter_spec)

/* DO(member, name): exceptions, by their name in saltare.errors. */
#define EACH_ERROR(DO)                      \
    DO(disconnected, "ClientDisconnected")  \
    DO(order_error, "MessageOrderError")    \
    DO(value_error, "MessageValueError")    \
    DO(type_error, "MessageTypeError")      \
    DO(length_error, "ContentLengthError")  \
    DO(body_error, "UnexpectedBodyError")

/* DO(member, text): HTTP methods that scopes share. */
#define EACH_METHOD(DO)     \
    DO(m_get, "GET")        \
    DO(m_post, "POST")      \
    DO(m_put, "PUT")        \
    DO(m_delete, "DELETE")  \
    DO(m_patch, "PATCH")    \
    DO(m_head, "HEAD")      \
    DO(m_options, "OPTIONS")

/* DO(member, text): every interned str. Messages and scopes share their keys with the app's interned constants. */
#define EACH_NAME(DO)                                    \
    EACH_METHOD(DO)                                      \
    DO(empty_text, "")                                   \
    DO(http_1_0, "1.0")                                  \
    /* keys of scopes */                                 \
    DO(s_type, "type")                                   \
    DO(s_http_version, "http_version")                   \
    DO(s_method, "method")                               \
    DO(s_path, "path")                                   \
    DO(s_raw_path, "raw_path")                           \
    DO(s_query_string, "query_string")                   \
    DO(s_headers, "headers")                             \
    DO(s_client, "client")                               \
    DO(s_server, "server")                               \
    DO(s_state, "state")                                 \
    DO(s_extensions, "extensions")                       \
    DO(s_subprotocols, "subprotocols")                   \
    DO(s_scheme, "scheme")                               \
    DO(s_root_path, "root_path")                         \
    DO(s_x_request_id, "x-request-id")                   \
    DO(s_traceparent, "traceparent")                     \
    DO(s_tracestate, "tracestate")                       \
    DO(s_request_id, "request_id") /* a key of state */  \
    /* schemes */                                        \
    DO(http, "http")                                     \
    DO(https, "https")                                   \
    DO(ws, "ws")                                         \
    DO(wss, "wss")                                       \
    /* messages of a request, and their keys */          \
    DO(s_http_request, "http.request")                   \
    DO(s_http_disconnect, "http.disconnect")             \
    DO(s_status, "status")                               \
    DO(s_body, "body")                                   \
    DO(s_more_body, "more_body")                         \
    DO(s_trailers, "trailers")                           \
    DO(s_more_trailers, "more_trailers")                 \
    DO(s_links, "links")                                 \
    DO(s_file, "file")                                   \
    DO(s_offset, "offset")                               \
    DO(s_count, "count")                                 \
    /* messages of a websocket, and their keys */        \
    DO(s_websocket_connect, "websocket.connect")         \
    DO(s_websocket_receive, "websocket.receive")         \
    DO(s_websocket_disconnect, "websocket.disconnect")   \
    DO(s_text, "text")                                   \
    DO(s_bytes, "bytes")                                 \
    DO(s_code, "code")                                   \
    DO(s_reason, "reason")                               \
    DO(s_subprotocol, "subprotocol")                     \
    /* attributes of futures, coroutines and loops */    \
    DO(s_done, "done")                                   \
    DO(s_result, "result")                               \
    DO(s_blocking, "_asyncio_future_blocking")           \
    DO(s_set_result, "set_result")                       \
    DO(s_throw, "throw")                                 \
    DO(s_close, "close")                                 \
    DO(s_task_factory, "_task_factory")                  \
    DO(s_debug, "_debug")                                \
    DO(s_nest_patched, "_nest_patched")

#endif
