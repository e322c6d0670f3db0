"""
The MCP server of imagesession: its verbs as tools for agents.
"""
