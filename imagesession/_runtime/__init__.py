"""
The runtime: performs the effects of workflows, in a blocking and an awaiting version.

This is the only package that imports openai.
"""
