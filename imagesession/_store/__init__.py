"""
The library on disk: the only room that opens files.

Records are the truth and are written durably, pictures before the record that counts them in.
The index beside them is disposable: it is rebuilt from the records when it is missing, broken or
of another version.
"""
