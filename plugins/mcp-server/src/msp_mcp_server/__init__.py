"""The MCP server: tools, resources and prompts of every plugin for agents."""
