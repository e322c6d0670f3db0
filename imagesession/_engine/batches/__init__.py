"""
Batches: many images at half the price, submitted once and collected later.
"""
