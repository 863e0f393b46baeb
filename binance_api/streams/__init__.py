"""WebSockets as Binance's clients use them: market streams, an account's events, and requests over `/ws-api/v3`.

What a process sends of a market it reads once for all who follow it (`source`), from the same hub as our own streams.
"""
