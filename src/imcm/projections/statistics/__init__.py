"""
Numbers in, numbers out: quantiles, intervals, tests, resampling, survival.
"""
