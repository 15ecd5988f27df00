"""
Ways in and out: one file per format, over one core that reads columns, values and times.
"""
