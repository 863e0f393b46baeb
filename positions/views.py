"""Positions over REST."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from base.web.answers import answer
from base.web.authentication import caller_id
from base.web.keys.scopes import READ
from base.web.openapi.operations import Call
from positions import answers
from positions.services import PositionsBehind, read_positions

TAG = "balances"


class PositionsView(APIView):
    @Call(
        *(TAG, "listPositions", "Own positions, with their cost and profit", list[answers.Position]),
        scope=READ,
        text="By the moving average of fills and transfers, fees included.",
        as_of=True,
        refusals=(PositionsBehind,),
    )
    def get(self, request: Request) -> Response:
        positions, newest = read_positions(caller_id(request))
        return answer(positions, as_of=dict(newest))
