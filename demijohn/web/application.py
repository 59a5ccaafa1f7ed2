"""The Flask application, complete under any WSGI server: routes, problems, edge."""

from __future__ import annotations

from flask import Flask, Response, request

from demijohn.edge.context import ROUTE
from demijohn.web import (
    aggregate,
    changes,
    collections,
    data,
    docs,
    documents,
    home,
    indexes,
    lists,
    many,
    operations,
    problems,
)
from demijohn.web.edge import Edge
from demijohn.web.openapi.route import publish
from demijohn.web.services import Services


def create_application(services: Services) -> Flask:
    """A Flask application over the given services."""
    app = Flask("demijohn", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = int(services.settings.max_body)
    app.config["HOST"], app.config["PORT"] = services.settings.host, services.settings.port
    # OPTIONS gets the problem with Allow that every other method an address lacks gets.
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    # Two slashes in an id are two slashes; and where a route ends in one is said by the route.
    app.url_map.merge_slashes = False
    app.url_map.converters["any_path"] = documents.AnyPath
    app.register_blueprint(home.blueprint())
    app.register_blueprint(data.blueprint(services))
    app.register_blueprint(collections.blueprint(services))
    app.register_blueprint(documents.blueprint(services))
    app.register_blueprint(indexes.blueprint(services))
    app.register_blueprint(lists.blueprint(services))
    app.register_blueprint(many.blueprint(services))
    app.register_blueprint(aggregate.blueprint(services))
    app.register_blueprint(changes.blueprint(services))
    app.register_blueprint(operations.blueprint(services))
    app.register_blueprint(docs.blueprint())
    publish(app, services.configurations)
    problems.register(app, services)
    app.after_request(_name_route)
    app.wsgi_app = Edge(app.wsgi_app, services.entrance)  # type: ignore[method-assign]
    return app


def _name_route(response: Response) -> Response:
    """Tell the entrance which route answered; it counts and logs by route, not by path."""
    if request.url_rule is not None:
        request.environ[ROUTE] = request.url_rule.rule
    return response
