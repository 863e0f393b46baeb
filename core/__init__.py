"""The matching core: decides, and does nothing else.

Standard library and sortedcontainers only. No Django, no clock, no I/O, no randomness: the same commands in the same
order give the same outcomes on every machine, which is what lets a recorded sequence be replayed and audited.
"""
