"""The tokens of a sign-in: simplejwt's, as clocks are that do not agree to the second."""

from datetime import datetime

from rest_framework_simplejwt import tokens

# The claim that names the session to which a token belongs.
SESSION_CLAIM = "sid"


class _EndsInTime(tokens.Token):
    """The setting LEEWAY is for `iat`: a host whose clock is ahead issues tokens for all. No token lives on by it."""

    def check_exp(self, claim: str = "exp", current_time: datetime | None = None) -> None:
        super().check_exp(claim, (current_time or self.current_time) + self.get_token_backend().get_leeway())


class AccessToken(_EndsInTime, tokens.AccessToken):
    """Signs in a request."""


class RefreshToken(_EndsInTime, tokens.RefreshToken):  # type: ignore[misc]
    """Renews both tokens, once."""

    access_token_class = AccessToken
