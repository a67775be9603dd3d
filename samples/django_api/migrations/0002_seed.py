"""The shop's users and orders."""

from __future__ import annotations

from django.contrib.auth.hashers import make_password
from django.db import migrations
from shop.seed import ORDERS, USERS


def fill(apps, schema_editor):
    user, order = apps.get_model("django_api", "User"), apps.get_model("django_api", "Order")
    user.objects.bulk_create(
        user(username=u.name, scope=u.scope, password=make_password(u.password, salt=f"salt-of-{u.name}"))
        for u in USERS
    )
    ids = dict(user.objects.values_list("username", "pk"))
    order.objects.bulk_create(
        order(id=o.id, owner_id=ids[o.owner], item=o.item, quantity=o.quantity, status=o.status) for o in ORDERS
    )


class Migration(migrations.Migration):
    dependencies = [("django_api", "0001_initial")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
