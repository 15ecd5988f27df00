"""
Read models: one derived file that stays current with a ledger, and deliveries of its events.
"""
