"""The account, its rates, and the listen keys by which its events are followed."""

from rest_framework.request import Request
from rest_framework.response import Response

from balances.cache import read_balances
from base.web.authentication import caller_id
from base.web.keys.known import KnownKey
from base.web.keys.scopes import READ
from binance_api.calls import Endpoint, KeyView, SignedView, caller_of
from binance_api.exchange_info import SPOT, account_rates, commission_rates
from binance_api.listen_keys import close_listen_key, open_listen_key, renew_listen_key
from binance_api.parameters import FLAG, SYMBOL, Parameter, Values, text
from binance_api.representation import amount, milliseconds
from binance_api.symbols import binance_name
from orders.exposure import may_trade

_LISTEN_KEY = Parameter("listenKey", text(r"^[A-Za-z0-9]{1,100}$"), is_required=True)


class AccountView(SignedView):
    @Endpoint(READ, 20, (Parameter("omitZeroBalances", FLAG, default=False),))
    def get(self, request: Request, asked: Values) -> Response:
        owner_id = caller_id(request)
        balances, rates = read_balances(owner_id), account_rates(owner_id)
        held = [each for each in balances if each.total or not asked["omitZeroBalances"]]
        updated = [milliseconds(each.updated_at) for each in balances]
        return Response(
            {
                # In hundredths of a percent, rounded up.
                "makerCommission": -int(-rates.maker * 10_000 // 1),
                "takerCommission": -int(-rates.taker * 10_000 // 1),
                "buyerCommission": 0,
                "sellerCommission": 0,
                "commissionRates": {
                    "maker": amount(rates.maker),
                    "taker": amount(rates.taker),
                    "buyer": amount(None),
                    "seller": amount(None),
                },
                "canTrade": may_trade(owner_id),
                "canWithdraw": False,
                "canDeposit": False,
                "brokered": False,
                "requireSelfTradePrevention": False,
                "preventSor": False,
                "updateTime": max(updated, default=0),
                "accountType": SPOT,
                "balances": [
                    {"asset": each.currency_id, "free": amount(each.available), "locked": amount(each.frozen)}
                    for each in held
                ],
                "permissions": [SPOT],
                "uid": owner_id,
            }
        )


class CommissionView(SignedView):
    @Endpoint(READ, 20, (SYMBOL,))
    def get(self, request: Request, asked: Values) -> Response:
        none = {"maker": amount(None), "taker": amount(None), "buyer": amount(None), "seller": amount(None)}
        return Response(
            {
                "symbol": binance_name(asked["symbol"].symbol),
                "standardCommission": commission_rates(caller_id(request), asked["symbol"]),
                "taxCommission": none,
                "discount": {"enabledForAccount": False, "enabledForSymbol": False},
            }
        )


def _key(request: Request) -> KnownKey:
    """By which the request was let in."""
    key = caller_of(request).key
    assert key is not None, "no other caller is let in"
    return key


class ListenKeyView(KeyView):
    """Opened, renewed and closed by the name of a key alone, as stock clients do."""

    @Endpoint(READ, 2)
    def post(self, request: Request, asked: Values) -> Response:
        return Response({"listenKey": open_listen_key(_key(request))})

    @Endpoint(READ, 2, (_LISTEN_KEY,))
    def put(self, request: Request, asked: Values) -> Response:
        renew_listen_key(asked["listenKey"], _key(request))
        return Response({})

    @Endpoint(READ, 2, (_LISTEN_KEY,))
    def delete(self, request: Request, asked: Values) -> Response:
        close_listen_key(asked["listenKey"], _key(request))
        return Response({})
