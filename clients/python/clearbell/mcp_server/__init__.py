"""An MCP server on top of the client: look, preview, place within a limit, cancel. Needs `clearbell[mcp]`."""
