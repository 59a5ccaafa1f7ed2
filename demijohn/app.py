"""The only assembly: every part is made here and handed to those that use it."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask

from demijohn.auth.keyring import KeyFile, Keyring
from demijohn.documents.changes import Hub
from demijohn.documents.collections import Configurations
from demijohn.documents.keyed_inserts import KeyedInserts
from demijohn.documents.room import Room
from demijohn.edge.entrance import Entrance
from demijohn.edge.operations import Operations
from demijohn.errors import BadParameter
from demijohn.settings import GUIDE_URI, Settings, SettingsError, load_here
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
    keyed_inserts: KeyedInserts
    keyring: Keyring | None


def create_service(settings: Settings) -> Service:
    """Put the service together; nothing connects or listens yet. Raises SettingsError."""
    logs.configure(settings)
    metrics = Metrics()
    store = Store(settings.mongodb_uri or GUIDE_URI, settings, metrics)
    keyring = _keyring(settings, store)
    entrance = Entrance(settings, metrics, keyring)
    operations = Operations(store.status, metrics)
    configurations = Configurations(store, settings.database_timeout)
    hub = Hub(store.changes, settings, metrics)
    room = Room()
    keyed_inserts = KeyedInserts(store, settings.queue_timeout)
    services = Services(
        settings,
        store,
        entrance,
        operations,
        metrics,
        configurations,
        hub,
        keyed_inserts,
        room=room,
    )
    application = create_application(services)
    return Service(
        settings,
        metrics,
        store,
        hub,
        entrance,
        operations,
        application,
        configurations,
        room,
        keyed_inserts,
        keyring,
    )


def _keyring(settings: Settings, store: Store) -> Keyring | None:
    """The keys, where they count. Raises SettingsError for a file of keys that can't be read."""
    if settings.auth != "keys":
        return None
    file = None if settings.keys_file is None else KeyFile(settings.keys_file)
    if file is not None:
        try:
            file.all()
        except BadParameter as problem:
            raise SettingsError([f"DEMIJOHN_KEYS_FILE: {problem.detail}"]) from None
    return Keyring(store, file, settings.queue_timeout)


def create_app(settings: Settings | None = None) -> Flask:
    """The Flask application for any WSGI server, by default with the settings found here."""
    return create_service(settings or load_here()).application
