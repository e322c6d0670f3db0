"""
The schema of a library on PostgreSQL, made and changed step by step with Alembic.

A step is `versions/<format>_<words>.py`. If programs of the format before can go on beside it, it
leaves `min_reader` in the table `format` as it is.
"""
