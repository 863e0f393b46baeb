"""The paths under `/api/v3`."""

from django.urls import path

from binance_api import account_views as account
from binance_api import group_views as groups
from binance_api import market_views as market
from binance_api import order_list_views as lists
from binance_api import order_views as orders
from binance_api import replace_view as replace
from binance_api import ticker_views as ticker

urlpatterns = [
    path("order", orders.OrderView.as_view()),
    path("order/test", orders.TestView.as_view()),
    path("order/cancelReplace", replace.CancelReplaceView.as_view()),
    path("order/oco", groups.OlderGroupView.as_view()),
    path("orderList", groups.ListView.as_view()),
    path("orderList/oco", groups.GroupView.as_view()),
    path("openOrderList", groups.OpenListsView.as_view()),
    path("openOrders", lists.OpenOrdersView.as_view()),
    path("allOrders", lists.AllOrdersView.as_view()),
    path("myTrades", lists.MyTradesView.as_view()),
    path("rateLimit/order", lists.OrderCountView.as_view()),
    path("account", account.AccountView.as_view()),
    path("account/commission", account.CommissionView.as_view()),
    path("userDataStream", account.ListenKeyView.as_view()),
    path("ping", market.PingView.as_view()),
    path("time", market.TimeView.as_view()),
    path("exchangeInfo", ticker.ExchangeInfoView.as_view()),
    path("depth", market.DepthView.as_view()),
    path("trades", market.TradesView.as_view()),
    path("historicalTrades", market.HistoricalTradesView.as_view()),
    path("aggTrades", market.AggregateTradesView.as_view()),
    path("klines", market.CandlesView.as_view()),
    path("uiKlines", market.CandlesView.as_view()),
    path("avgPrice", market.AveragePriceView.as_view()),
    path("ticker/24hr", ticker.DayTickerView.as_view()),
    path("ticker/price", ticker.PriceView.as_view()),
    path("ticker/bookTicker", ticker.BookTickerView.as_view()),
]
