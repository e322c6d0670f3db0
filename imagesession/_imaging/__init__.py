"""
Eyes and hands for pixels: all that opens, converts, masks and joins pictures.

Pillow is imported where it is used, never on import, because it is slow to load and hardly ever
needed.
"""
