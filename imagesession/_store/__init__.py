"""
The library on disk: the only package that opens its files.

Records are authoritative and are written durably, images before the record that lists them. The
index is disposable: it is rebuilt from the records when it is missing, damaged or of another
version.
"""
