"""What the assembly hands to the server."""

from __future__ import annotations

from dataclasses import dataclass

from demijohn.documents.collections import Configurations
from demijohn.documents.keyed_inserts import KeyedInserts
from demijohn.documents.room import Room
from demijohn.edge.entrance import Entrance
from demijohn.edge.operations import Operations
from demijohn.front.bridge import Application
from demijohn.settings import Settings
from demijohn.store.documents import Store
from demijohn.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Means:
    """What the express path works with, as the application does."""

    store: Store
    configurations: Configurations
    room: Room
    keyed_inserts: KeyedInserts


@dataclass(frozen=True, slots=True)
class Parts:
    """What the server serves."""

    settings: Settings
    metrics: Metrics
    entrance: Entrance
    operations: Operations
    application: Application
    express: Means | None = None
    """None where the application is to answer all."""
