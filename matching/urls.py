from django.urls import path

from matching import views

urlpatterns = [path("orderbook/<str:symbol>", views.DepthView.as_view())]
