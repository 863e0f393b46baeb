"""Every path of the exchange but the streams, which exchange.asgi serves."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from audit.dashboard import overview

urlpatterns = [
    # Somebody who types the bare address is a person.
    path("", RedirectView.as_view(url="/admin/")),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/overview/", admin.site.admin_view(overview), name="overview"),
    path("admin/", admin.site.urls),
    path("health/", include("audit.urls")),
    path(
        "api/v1/",
        include(
            [
                path("", include("users.urls")),
                path("", include("balances.urls")),
                path("", include("markets.urls")),
                path("", include("orders.urls")),
                path("", include("matching.urls")),
            ]
        ),
    ),
]
handler404 = "exchange.api.not_found"
handler500 = "exchange.api.server_error"
