"""
The ports of the store on PostgreSQL and S3, for programs on many machines; the extra `team`.

Facts, rights and the index are tables, and a turn is settled in one transaction with its index
rows. Images are objects that are named by their content and written before the row that names them.
No connection has a state between transactions, so that PgBouncer may lend it to others.
"""
