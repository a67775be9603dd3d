"""The shop's API on Django and Django REST framework."""
