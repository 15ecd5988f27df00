"""
One file per figure, and what all of them share.
"""
