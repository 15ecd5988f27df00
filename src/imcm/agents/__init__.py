"""
A ledger as tools of an automated responder, which calls them over the Model Context Protocol.

`schemas` makes the arguments of a tool from the signature of a function, `answers` bounds what goes
out, `reading` has the tools that only read, `steps` makes one of every step there is, `toolbox`
says which are on and calls them, and `server` speaks the protocol. See docs/agents.md.
"""
