"""Every path of the exchange but the streams, which exchange.asgi serves."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from base.web.openapi.pages import SchemaView, SwaggerView
from operations.dashboard import overview
from operations.metrics import metrics

urlpatterns = [
    # Somebody who types the bare address is a person.
    path("", RedirectView.as_view(url="/admin/")),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/overview/", admin.site.admin_view(overview), name="overview"),
    path("admin/", admin.site.urls),
    path("health/", include("operations.urls")),
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
                path("", include("marketdata.urls")),
            ]
        ),
    ),
]
handler400 = "base.web.answers.bad_request"
handler404 = "base.web.answers.not_found"
handler500 = "base.web.answers.server_error"
