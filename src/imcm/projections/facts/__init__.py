"""
One row per incident and per change, the fold that makes them, and their columns.
"""
