"""An MCP server with one tool, over streamable HTTP and over SSE."""

from mcp.server.fastmcp import FastMCP

server = FastMCP("hello")


@server.tool()
def greet(name: str) -> str:
    """Greets."""
    return f"Hello, {name}!"


http = server.streamable_http_app()
sse = FastMCP("hello").sse_app()
