"""An MCP server with one tool, over streamable HTTP and over SSE."""

import sys

from mcp.server.mcpserver import MCPServer

server = MCPServer("hello")


@server.tool()
def greet(name: str) -> str:
    """Greets."""
    return f"Hello, {name}!"


if __name__ == "__main__":
    server.run(sys.argv[1], port=int(sys.argv[2]))
http = server.streamable_http_app()
sse = MCPServer("hello").sse_app()
