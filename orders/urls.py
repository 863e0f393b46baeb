from django.urls import path

from orders import views

urlpatterns = [
    path("orders", views.OrdersView.as_view()),
    path("orders/batch", views.BatchView.as_view()),
    path("orders/client/<str:client_order_id>", views.ClientOrderView.as_view()),
    path("orders/<str:order_id>", views.OrderView.as_view()),
    path("orders/<str:order_id>/trades", views.FillsView.as_view()),
    path("orders/<str:order_id>/events", views.TimelineView.as_view()),
    path("stream/tickets", views.TicketView.as_view()),
    path("stream/order-status/stats", views.StreamStatsView.as_view()),
]
