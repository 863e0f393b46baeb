from django.urls import path

from audit import health

urlpatterns = [
    path("live", health.live),
    path("ready", health.ready),
]
