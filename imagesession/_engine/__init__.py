"""
The verbs: generators that say what to do next, and pure functions that they call.

Nothing in this room waits, opens a file or looks at the clock. A flow yields steps and is sent
their answers; `imagesession._runtime` carries the steps out, once for sync and once for async.
"""
