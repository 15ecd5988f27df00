"""
Several figures at once: the DORA report, presets, bands, comparison, restatement.
"""
