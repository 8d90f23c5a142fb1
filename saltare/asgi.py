"""The ASGI vocabulary in one file, for type checkers; not imported while serving."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Literal, TypedDict

Header = tuple[bytes, bytes]  # name in lower case, value
Address = tuple[str, int]  # host, port
ServerAddress = tuple[str, int | None]  # a Unix socket's path has port None


class Versions(TypedDict):
    version: str  # "3.0"
    spec_version: str  # "2.3" for http, "2.4" for websocket, or "2.5" for both; "2.0" for lifespan


class HTTPScope(TypedDict):
    type: Literal["http"]
    asgi: Versions
    http_version: Literal["1.0", "1.1"]
    method: str
    scheme: Literal["http", "https"]
    path: str  # percent-decoded
    raw_path: bytes  # as sent, without the query
    query_string: bytes  # as sent, without "?"
    root_path: str
    headers: Iterable[Header]  # order and repeats kept
    client: Address | None
    server: ServerAddress | None
    extensions: dict[str, dict[str, Any]]
    state: dict[str, Any]  # a shallow copy of the lifespan's state


class WebSocketScope(TypedDict):
    type: Literal["websocket"]
    asgi: Versions
    http_version: Literal["1.1"]
    scheme: Literal["ws", "wss"]
    path: str
    raw_path: bytes
    query_string: bytes
    root_path: str
    headers: Iterable[Header]
    subprotocols: list[str]  # offered by the peer, in its order
    client: Address | None
    server: ServerAddress | None
    extensions: dict[str, dict[str, Any]]
    state: dict[str, Any]


class LifespanScope(TypedDict):
    type: Literal["lifespan"]
    asgi: Versions
    state: dict[str, Any]


class RequestEvent(TypedDict):
    type: Literal["http.request"]
    body: bytes
    more_body: bool


class DisconnectEvent(TypedDict):
    type: Literal["http.disconnect"]


class ConnectEvent(TypedDict):
    type: Literal["websocket.connect"]


class ReceiveEvent(TypedDict, total=False):
    type: Literal["websocket.receive"]
    text: str  # one of the two
    bytes: bytes


class CloseEvent(TypedDict):
    type: Literal["websocket.disconnect"]
    code: int  # 1005: the peer sent none; 1006: the connection was lost
    reason: str


class LifespanEvent(TypedDict):
    type: Literal["lifespan.startup", "lifespan.shutdown"]


class ResponseStart(TypedDict, total=False):
    type: Literal["http.response.start"]
    status: int
    headers: Iterable[Header]
    trailers: bool


class ResponseBody(TypedDict, total=False):
    type: Literal["http.response.body"]
    body: bytes
    more_body: bool


class ResponseTrailers(TypedDict, total=False):
    type: Literal["http.response.trailers"]
    headers: Iterable[Header]
    more_trailers: bool


class EarlyHint(TypedDict):
    type: Literal["http.response.early_hint"]
    links: Iterable[bytes]  # values of the field Link


class PathSend(TypedDict):
    type: Literal["http.response.pathsend"]
    path: str


class ZeroCopySend(TypedDict, total=False):
    type: Literal["http.response.zerocopysend"]
    file: Any  # a descriptor, or an object with fileno()
    offset: int  # default: the file's current position
    count: int  # default: to the end of the file
    more_body: bool


class SendFile(TypedDict, total=False):
    type: Literal["saltare.sendfile"]  # the whole response, or, after http.response.start, the same as pathsend
    path: str
    status: int  # default 200
    headers: Iterable[Header]


class Accept(TypedDict, total=False):
    type: Literal["websocket.accept"]
    subprotocol: str | None  # one of the scope's
    headers: Iterable[Header]


class SendMessage(TypedDict, total=False):
    type: Literal["websocket.send"]
    text: str | None  # one of the two
    bytes: bytes | None


class Close(TypedDict, total=False):
    type: Literal["websocket.close"]  # before accept: 403, or the status that the code stands for
    code: int  # default 1000
    reason: str | None


class DenialStart(TypedDict, total=False):
    type: Literal["websocket.http.response.start"]  # in place of accept: an HTTP response
    status: int
    headers: Iterable[Header]


class DenialBody(TypedDict, total=False):
    type: Literal["websocket.http.response.body"]
    body: bytes
    more_body: bool


class LifespanResponse(TypedDict, total=False):
    type: Literal[
        "lifespan.startup.complete", "lifespan.startup.failed", "lifespan.shutdown.complete", "lifespan.shutdown.failed"
    ]
    message: str


Scope = HTTPScope | WebSocketScope | LifespanScope
# In practice apps annotate events as any mapping with a "type".
Event = (
    RequestEvent | DisconnectEvent | ConnectEvent | ReceiveEvent | CloseEvent | LifespanEvent | MutableMapping[str, Any]
)
Response = ResponseStart | ResponseBody | ResponseTrailers | EarlyHint | PathSend | ZeroCopySend | SendFile
WebSocketMessage = Accept | SendMessage | Close | DenialStart | DenialBody
Message = Response | WebSocketMessage | LifespanResponse | MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Message], Awaitable[None]]
# Each framework annotates messages in its own way; all are accepted.
App = Callable[[Any, Any, Any], Awaitable[Any]]
Factory = Callable[[], App]
AppOrName = App | Factory | str  # for `run`: an app, with factory=True its factory, or "module:attribute"
