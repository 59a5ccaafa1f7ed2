"""The only assembly: every part is made here and handed to those that use it."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask

from demijohn.documents.changes import Hub
from demijohn.documents.collections import Configurations
from demijohn.documents.keyed_inserts import KeyedInserts
from demijohn.documents.room import Room
from demijohn.edge.entrance import Entrance
from demijohn.edge.operations import Operations
from demijohn.settings import GUIDE_URI, Settings, load_here
from demijohn.store.documents import Store
from demijohn.telemetry import logs
from demijohn.telemetry.metrics import Metrics
from demijohn.web.application import create_application
from demijohn.web.services import Services


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of one process."""

    settings: Settings
    metrics: Metrics
    store: Store
    hub: Hub
    entrance: Entrance
    operations: Operations
    application: Flask
    configurations: Configurations
    room: Room


def create_service(settings: Settings) -> Service:
    """Put the service together; nothing connects or listens yet. Raises SettingsError."""
    logs.configure(settings)
    metrics = Metrics()
    store = Store(settings.mongodb_uri or GUIDE_URI, settings, metrics)
    entrance = Entrance(settings, metrics)
    operations = Operations(store.status, metrics)
    configurations = Configurations(store, settings.database_timeout)
    hub = Hub(store.changes, settings, metrics)
    room = Room()
    services = Services(
        settings,
        store,
        entrance,
        operations,
        metrics,
        configurations,
        hub,
        KeyedInserts(store, settings.queue_timeout),
        room=room,
    )
    application = create_application(services)
    return Service(
        settings, metrics, store, hub, entrance, operations, application, configurations, room
    )


def create_app(settings: Settings | None = None) -> Flask:
    """The Flask application for any WSGI server, by default with the settings found here."""
    return create_service(settings or load_here()).application
