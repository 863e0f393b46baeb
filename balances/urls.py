from django.urls import path

from balances import views

urlpatterns = [
    path("balances/update", views.TransferView.as_view()),
    path("balances/<str:user_id>", views.BalancesView.as_view()),
    path("balances/<str:user_id>/<str:currency>", views.BalanceView.as_view()),
    path("balances/<str:user_id>/<str:currency>/ledger", views.LedgerView.as_view()),
]
