from django.urls import path

from users import views

urlpatterns = [
    path("users", views.RegistrationView.as_view()),
    path("users/<str:user_id>", views.UserView.as_view()),
    path("auth/token", views.TokenView.as_view()),
    path("auth/token/refresh", views.TokenRefreshView.as_view()),
]
