"""An MCP server with one tool, over streamable HTTP and over SSE."""

from mcp.server.mcpserver import MCPServer

server = MCPServer("hello")


@server.tool()
def greet(name: str) -> str:
    """Greets."""
    return f"Hello, {name}!"


http = server.streamable_http_app()
sse = MCPServer("hello").sse_app()
