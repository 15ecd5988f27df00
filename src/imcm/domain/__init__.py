"""
The pure domain: what can happen to an incident and to a change, and when it may.

Nothing in here reads a clock, touches a file, or knows how events are stored.
"""
