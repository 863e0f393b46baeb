"""What the Makefile runs: the environment, private database servers, the tests, the lock files."""
