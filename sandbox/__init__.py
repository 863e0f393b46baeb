"""The sandbox for bots: faults that an account orders for itself, and orders whose fate is in their name."""
