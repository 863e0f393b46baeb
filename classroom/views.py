"""A class over REST."""

from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from base.web.answers import answer
from base.web.keys.scopes import PUBLIC
from base.web.openapi.operations import Call
from classroom import answers
from classroom.representation import find_class


class ClassView(APIView):
    permission_classes = [AllowAny]
    authentication_classes = []

    @Call(
        *("class", "readClass", "A class: its round, its leaderboard and its news", answers.Class),
        scope=PUBLIC,
        text="Of the round that is open, else of the last one. The page /leaderboard shows the same.",
    )
    def get(self, request: Request) -> Response:
        return answer(find_class())
