"""
For eyes: what is shown while one waits.
"""
