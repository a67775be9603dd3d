"""The shop's API on FastAPI: `fastapi_api.app:app` with bearerwatch, `fastapi_api.plain:app` without."""

from __future__ import annotations

from fastapi import FastAPI
from shop import logs
from shop.store import Store
from shop.tokens import Refused, Tokens

from fastapi_api.routes import api, refused


def create_app() -> FastAPI:
    """The application, ready to serve."""
    logs.configure()
    app = FastAPI(title="Shop")
    app.state.store = Store()
    app.state.tokens = Tokens(app.state.store)
    app.include_router(api)
    app.add_exception_handler(Refused, refused)
    return app


app = create_app()
