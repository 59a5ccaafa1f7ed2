"""Carrying a write out: at once, as a transaction, or once for a key.

The one place that knows which of them a request needs and the database has.
"""

from __future__ import annotations

from collections.abc import Callable

from demijohn.documents.change import Changed, Plan, change
from demijohn.documents.idempotency import Keyed, once
from demijohn.documents.insert import Insertion, insert_one, inserted
from demijohn.documents.keyed_inserts import KeyedInserts
from demijohn.documents.records import Told
from demijohn.documents.standalone import insert_once
from demijohn.store.documents import Store

Tell = Callable[[Changed], Told]


def insert(
    store: Store,
    keyed_inserts: KeyedInserts,
    insertion: Insertion,
    tell: Tell,
    keyed: Keyed[Changed] | None,
) -> Told:
    """Insert a document; its answer, by `tell` or, where the request has a key, the first one's.

    Raises what `insert_one` and `once` raise, and Overloaded.
    """
    if keyed is None:
        return tell(insert_one(store, insertion))
    if store.has_transactions:
        # Those that ride together have one store, which is held to nothing.
        if store.is_held:
            return once(store, keyed, inserted(insertion))
        return keyed_inserts.insert(keyed, insertion)
    return insert_once(store, keyed, insertion)


def carry_out(
    store: Store,
    plan: Plan,
    tell: Tell,
    keyed: Keyed[Changed] | None,
    at_once: Callable[[], Changed] | None = None,
) -> Told:
    """Carry a plan out; `at_once` does the same in one command, where nothing is to be checked.

    Raises NeedsReplicaSet for a key on a standalone, and what `change`, `once` and `at_once`
    raise.
    """
    if keyed is None:
        return tell(change(store, plan) if at_once is None else at_once())
    return once(store, keyed, plan)
