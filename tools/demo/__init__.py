"""The whole exchange on one machine, from nothing but Python: python -m tools.demo."""
