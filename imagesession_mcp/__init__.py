"""
The MCP server of imagesession: the library's methods as tools for agents.
"""
