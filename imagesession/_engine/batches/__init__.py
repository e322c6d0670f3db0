"""
Many pictures at once, at half the price: submitted once, found again, and collected.
"""
