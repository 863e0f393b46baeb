from django.urls import path

from marketdata import views

urlpatterns = [
    path("trades/<str:symbol>", views.TradesView.as_view()),
    path("klines/<str:symbol>", views.KlinesView.as_view()),
    path("orderbook/<str:symbol>", views.DepthView.as_view()),
    path("ticker", views.TickersView.as_view()),
    path("ticker/<str:symbol>", views.TickerView.as_view()),
]
