"""The shop's API on Flask: `flask_api.app:app` with bearerwatch, `flask_api.plain:app` without."""

from __future__ import annotations

from flask import Flask
from shop import logs
from shop.store import Store
from shop.tokens import Tokens

from flask_api.routes import api


def create_app() -> Flask:
    """The application, ready to serve."""
    logs.configure()
    app = Flask(__name__)
    app.extensions["shop_store"] = store = Store()
    app.extensions["shop_tokens"] = Tokens(store)
    app.register_blueprint(api)
    return app


app = create_app()
