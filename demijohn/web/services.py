"""What the routes work with, made by the assembly and handed to their blueprints."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bson import ObjectId
from flask import request

from demijohn.documents.changes import Hub
from demijohn.documents.collections import Configurations
from demijohn.documents.keyed_inserts import KeyedInserts
from demijohn.documents.room import Room
from demijohn.edge.context import CONTEXT, Context
from demijohn.edge.entrance import Entrance
from demijohn.edge.operations import Operations
from demijohn.settings import Settings
from demijohn.store.documents import Store
from demijohn.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Services:
    """One of each; nothing here changes while the process runs."""

    settings: Settings
    whole_store: Store
    entrance: Entrance
    operations: Operations
    metrics: Metrics
    configurations: Configurations
    hub: Hub
    keyed_inserts: KeyedInserts
    new_id: Callable[[], ObjectId] = ObjectId
    room: Room = field(default_factory=Room)
    clock: Callable[[], float] = time.time
    """Seconds since 1970."""

    @property
    def store(self) -> Store:
        """The store, of what there is to the caller of the request under way."""
        rows = current_context().caller.rows
        return self.whole_store if rows is None else self.whole_store.held_to(rows)


def current_context() -> Context:
    """The context of the request under way, as its entrance made it."""
    context = request.environ[CONTEXT]
    assert isinstance(context, Context)
    return context
