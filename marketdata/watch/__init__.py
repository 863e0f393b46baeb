"""A market in a terminal: a client like any other, which knows the exchange by its API alone."""
