"""
The engine: workflows, which are generators that yield effects, and the pure functions they call.

Nothing in this package blocks, opens a file or reads the clock. A workflow yields effects and is
sent their results; `imagesession._runtime` performs the effects, once for sync and once for async.
"""
