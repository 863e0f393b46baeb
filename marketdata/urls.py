from django.urls import path

from marketdata import views

urlpatterns = [
    path("orderbook/<str:symbol>", views.DepthView.as_view()),
    path("ticker", views.TickersView.as_view()),
    path("ticker/<str:symbol>", views.TickerView.as_view()),
]
