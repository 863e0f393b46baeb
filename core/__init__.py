"""The matching core: decides, and does nothing else.

Standard library and sortedcontainers only. No Django, no clock, no I/O, no randomness: the same commands in the same
order give the same outcomes on every machine, and so a recorded sequence can be replayed and audited.
"""
