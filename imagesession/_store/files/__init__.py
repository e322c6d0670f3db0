"""
Files that survive a crash and are opened safely: for the library on disk, exports and galleries.
"""
