"""The chaos run: an exchange of real processes, killed again and again while it trades. See __main__."""
