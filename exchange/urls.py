"""Every path of the exchange, in one list; the streams are served by exchange.asgi."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from balances import approval_views as approvals
from balances import views as balances
from base.web.openapi.pages import SchemaView, SwaggerView
from classroom import pages as class_pages
from classroom import views as classroom
from marketdata import coingecko, udf
from marketdata import views as marketdata
from markets import views as markets
from matching import views as matching
from operations import feed, health
from operations import views as operations
from operations.dashboard import overview
from operations.info import where_wanted
from operations.market_book import book
from operations.metrics import metrics
from orders import cancelling, group_view, history, order_view, own_account, queue_place
from orders import views as orders
from page import files as page_files
from page import views as page
from positions import views as positions
from sandbox import views as sandbox
from users import key_views as keys
from users import pages
from users import views as users

API = [
    # In front, because Django compares one path after the other, and most requests are of orders.
    path("orders", orders.OrdersView.as_view()),
    path("orders/batch", orders.BatchView.as_view()),
    path("orders/preview", matching.PreviewView.as_view()),
    path("orders/batch-cancel", cancelling.BatchCancelView.as_view()),
    path("orders/cancel-all-after", cancelling.DeadManSwitchView.as_view()),
    path("orders/oco", group_view.OcoView.as_view()),
    path("orders/client/<str:client_order_id>", orders.ClientOrderView.as_view()),
    path("orders/<str:order_id>", order_view.OrderView.as_view()),
    path("orders/<str:order_id>/replace", order_view.ReplaceView.as_view()),
    path("orders/<str:order_id>/trades", history.OrderFillsView.as_view()),
    path("orders/<str:order_id>/events", history.TimelineView.as_view()),
    path("orders/<str:order_id>/queue", queue_place.QueuePlaceView.as_view()),
    path("info", operations.InfoView.as_view()),
    path("users", users.RegistrationView.as_view()),
    path("users/me", own_account.MeView.as_view()),
    path("users/me/password", users.PasswordView.as_view()),
    path("users/<str:user_id>", users.UserView.as_view()),
    path("users/<str:user_id>/kill", operations.KillView.as_view()),
    path("users/<str:user_id>/limits", operations.LimitsView.as_view()),
    path("auth/token", users.TokenView.as_view()),
    path("auth/token/refresh", users.TokenRefreshView.as_view()),
    path("auth/logout", users.LogOutView.as_view()),
    path("keys", keys.KeysView.as_view()),
    path("keys/<str:key_id>", keys.KeyView.as_view()),
    path("account", own_account.AccountView.as_view()),
    path("balances", balances.OwnBalancesView.as_view()),
    path("balances/update", balances.TransferView.as_view()),
    path("approvals", approvals.ApprovalsView.as_view()),
    path("approvals/<str:approval_id>/approve", approvals.ApproveView.as_view()),
    path("approvals/<str:approval_id>/refuse", approvals.RefuseView.as_view()),
    path("balances/<str:user_id>", balances.BalancesView.as_view()),
    path("balances/<str:user_id>/<str:currency>", balances.BalanceView.as_view()),
    path("balances/<str:user_id>/<str:currency>/ledger", balances.LedgerView.as_view()),
    path("assets", markets.AssetsView.as_view()),
    path("fees", markets.FeesView.as_view()),
    path("fees/payout", approvals.FeePayoutView.as_view()),
    path("positions", positions.PositionsView.as_view()),
    path("markets", markets.MarketsView.as_view()),
    path("markets/<str:symbol>", markets.MarketView.as_view()),
    path("time", markets.TimeView.as_view()),
    path("fills", history.FillsView.as_view()),
    path("stream/tickets", orders.TicketView.as_view()),
    path("stream/order-status/stats", orders.StreamStatsView.as_view()),
    path("trades/<str:symbol>", marketdata.TradesView.as_view()),
    path("klines/<str:symbol>", marketdata.KlinesView.as_view()),
    path("orderbook/<str:symbol>", marketdata.DepthView.as_view()),
    path("feed/orders/<str:symbol>", feed.OrderFeedView.as_view()),
    path("feed/trades/<str:symbol>", feed.TradeFeedView.as_view()),
    path("cache/stats", operations.CacheStatsView.as_view()),
    path("class", classroom.ClassView.as_view()),
    path("sandbox/faults", sandbox.OwnFaultsView.as_view()),
    path("sandbox/faults/<str:user_id>", sandbox.FaultsView.as_view()),
    path("ticker", marketdata.TickersView.as_view()),
    path("ticker/<str:symbol>", marketdata.TickerView.as_view()),
]
# Public market data in the formats of other systems.
UDF = [
    path("config", udf.ConfigView.as_view()),
    path("symbols", udf.SymbolView.as_view()),
    path("search", udf.SearchView.as_view()),
    path("history", udf.HistoryView.as_view()),
    path("time", udf.TimeView.as_view()),
]
COINGECKO = [
    path("pairs", coingecko.PairsView.as_view()),
    path("tickers", coingecko.TickersView.as_view()),
    path("orderbook", coingecko.OrderBookView.as_view()),
    path("historical_trades", coingecko.TradesView.as_view()),
]
urlpatterns = [
    path("api/v1/", include(API)),
    path("api/v3/", include("binance_api.urls")),
    path("udf/", include(UDF)),
    path("coingecko/", include(COINGECKO)),
    # Somebody who types the bare address is a person.
    path("", page.trading),
    path("m/<str:symbol>", page.trading),
    path("account", page.account),
    path("static/page/<str:version>/<path:name>", page_files.serve, {"package": "page"}),
    path("leaderboard", class_pages.leaderboard),
    path("static/classroom/<str:version>/<path:name>", page_files.serve, {"package": "classroom"}),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/class/", admin.site.admin_view(class_pages.teacher)),
    path("admin/class/export/<str:round_id>/", admin.site.admin_view(class_pages.download)),
    path("admin/overview/", admin.site.admin_view(overview), name="overview"),
    path("admin/book/<str:symbol>/", admin.site.admin_view(book), name="book"),
    # In place of Django's own: both check a password.
    path("admin/login/", pages.sign_in),
    path("admin/password_change/", admin.site.admin_view(pages.change_password)),
    path("admin/", admin.site.urls),
    path("health/live", health.live),
    path("health/ready", health.ready),
    path("metrics", metrics),
    path("swagger-ui.html", SwaggerView.as_view()),
    path("api/schema", SchemaView.as_view(), name="schema"),
    # As the system before this one called them.
    path("actuator/health", where_wanted(health.ready)),
    path("actuator/prometheus", where_wanted(metrics)),
    path("actuator/info", where_wanted(operations.InfoView.as_view())),
    path("v3/api-docs", where_wanted(SchemaView.as_view())),
]
handler400 = "base.web.answers.bad_request"
handler404 = "base.web.answers.not_found"
handler500 = "base.web.answers.server_error"
