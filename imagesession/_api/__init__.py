"""
What users hold: studios, sessions, images, and the verbs that make them.
"""
