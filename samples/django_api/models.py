"""Users, their orders, and the ledger of keys and revocations. Of a token only a digest is kept."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """A user, and the scopes their tokens are given."""

    scope = models.CharField(max_length=200)


class Order(models.Model):
    """Something somebody bought."""

    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="orders")
    item = models.CharField(max_length=80)
    quantity = models.PositiveIntegerField()
    status = models.CharField(max_length=20, default="placed")

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.quantity} of {self.item}"


class ApiKey(models.Model):
    """An opaque key, by its SHA-256."""

    digest = models.CharField(max_length=64, primary_key=True)
    owner = models.ForeignKey(User, on_delete=models.CASCADE)
    scope = models.CharField(max_length=200)

    def __str__(self) -> str:
        return f"key of {self.owner}"


class Revocation(models.Model):
    """A token withdrawn before its time, by its ``jti`` or SHA-256."""

    reference = models.CharField(max_length=64, primary_key=True)

    def __str__(self) -> str:
        return "revocation"
