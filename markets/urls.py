from django.urls import path

from markets import views

urlpatterns = [
    path("markets", views.MarketsView.as_view()),
    path("markets/<str:symbol>", views.MarketView.as_view()),
    path("time", views.TimeView.as_view()),
]
