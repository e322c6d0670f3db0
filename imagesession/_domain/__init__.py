"""
The nouns: frozen facts about options, pictures, turns, sessions and models.

Nothing in this room waits, opens a file or looks at the clock; the catalogue reads the data
file that is packed beside it.
"""
