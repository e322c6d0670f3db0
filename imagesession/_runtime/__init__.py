"""
The hands: they carry out the steps of flows, once for sync and once for async.

This is the only room that knows the openai package.
"""
