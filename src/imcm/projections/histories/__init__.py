"""
What happened to one thing, who decided it, what was learned of it when.
"""
