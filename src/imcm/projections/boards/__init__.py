"""
What stands now of one incident or change, words included: the rows of boards.
"""
