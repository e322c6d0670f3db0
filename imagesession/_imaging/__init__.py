"""
Decode, convert, mask, combine and shrink images.

Pillow is imported inside the functions that use it, because it is slow to load and rarely needed.
"""
