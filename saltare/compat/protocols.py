"""`uvicorn.protocols.utils`: what programs import from there."""

from ..app.request_log import client_of, path_with_query
from ..errors import ClientDisconnected

__all__ = ["ClientDisconnected", "get_client_addr", "get_path_with_query_string"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def get_client_addr(scope: "dict[str, Any]") -> str:
    """The client as "host:port", or "" where it has no address."""
    return client_of(scope)


def get_path_with_query_string(scope: "dict[str, Any]") -> str:
    return path_with_query(scope)
