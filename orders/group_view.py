"""Orders of which one cancels the other, over REST."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from base.web.answers import answer, body
from base.web.authentication import caller_id
from base.web.keys.scopes import TRADE
from base.web.openapi.operations import Call
from orders import answers
from orders.oco import OcoForm, place_oco
from orders.representation import represent_accepted
from orders.views import PLACING, TAG

_TARGET_AND_STOP = {"symbol": "BTC-USD", "side": "SELL", "quantity": "0.5", "price": "66000", "stopPrice": "56000"}


class OcoView(APIView):
    @Call(
        *(TAG, "placeOco", "Place a target and a stop of which one cancels the other", answers.AcceptedGroup),
        scope=TRADE,
        text=(
            "A SELL has `price` above and `stopPrice` below the last price, a BUY the other way round. Both legs"
            " reserve once. Without `stopLimitPrice`, which a BUY needs, the stop leg becomes MARKET. The same"
            " `clientOrderId` with the same body answers as the first time."
        ),
        status=202,
        body=OcoForm,
        examples={"target and stop": _TARGET_AND_STOP},
        replayable=True,
        refusals=("OCO_PRICES_CROSS", *PLACING),
    )
    def post(self, request: Request) -> Response:
        group = place_oco(caller_id(request), OcoForm.read(body(request)))
        accepted: answers.AcceptedGroup = {
            "groupId": group.limit.id,
            "orders": [represent_accepted(group.limit), represent_accepted(group.stop)],
        }
        return answer(accepted, message="Orders accepted for processing", code=202, replayed=group.is_repeated)
