"""
The ports of the store on disk: files for facts, blobs and rights, and a disposable SQLite index.
"""
