"""
What people see: notebooks, galleries, contact sheets and progress bars.
"""
