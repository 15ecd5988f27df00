"""
Events to bytes and back: the stored format, described in docs/stored-format.md.
"""
