"""Hostile clients, one kind after the other, while a polite one trades: what does the polite one feel of them?"""
