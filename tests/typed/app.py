"""As users write it: checked by mypy, never run."""

from __future__ import annotations

from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette

from bearerwatch.asgi import BearerwatchMiddleware
from bearerwatch.flask import Bearerwatch

api = FastAPI()
api.add_middleware(BearerwatchMiddleware)
application = Starlette()
application.add_middleware(BearerwatchMiddleware, service="orders")
outermost = BearerwatchMiddleware(Starlette(), service="orders")
Bearerwatch(Flask("orders"), service="orders")
