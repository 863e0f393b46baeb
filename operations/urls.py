from django.urls import path

from operations import health

urlpatterns = [
    path("live", health.live),
    path("ready", health.ready),
]
