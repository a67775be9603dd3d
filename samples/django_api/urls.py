"""Where the views are."""

from __future__ import annotations

from django.urls import path

from django_api import views

urlpatterns = [
    path("health", views.Health.as_view()),
    path("login", views.Login.as_view()),
    path("logout", views.Logout.as_view()),
    path("me", views.Me.as_view()),
    path("keys", views.Keys.as_view()),
    path("orders", views.Orders.as_view()),
    path("orders/<int:pk>", views.OneOrder.as_view()),
    path("orders/<int:pk>/dispatch", views.Dispatch.as_view()),
    path("quote", views.Quote.as_view()),
    path("export", views.Export.as_view()),
    path("admin/report", views.Report.as_view()),
]
