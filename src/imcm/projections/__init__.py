"""
Pure questions to a log: recorded events in, a frozen answer out.
"""
