"""Every path of the exchange but the streams, which exchange.asgi serves."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from audit.dashboard import overview
from audit.scrape import metrics
from exchange.openapi.pages import SchemaView, SwaggerView

urlpatterns = [
    # Somebody who types the bare address is a person.
    path("", RedirectView.as_view(url="/admin/")),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/overview/", admin.site.admin_view(overview), name="overview"),
    path("admin/", admin.site.urls),
    path("health/", include("audit.urls")),
    path("metrics", metrics),
    path("swagger-ui.html", SwaggerView.as_view()),
    path("api/schema", SchemaView.as_view(), name="schema"),
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
handler400 = "exchange.api.bad_request"
handler404 = "exchange.api.not_found"
handler500 = "exchange.api.server_error"
