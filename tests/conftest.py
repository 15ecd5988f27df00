"""
What holds for all tests.
"""

from hypothesis import settings

# How fast something is, is measured in benchmarks, and never by a test: machines are busy.
settings.register_profile("untimed", parent=settings(), deadline=None)
settings.load_profile("untimed")
