"""Replacements on the express path: those that come together ride together, others by a thread.

The operation is that of the full path (`documents.replace.put_one`), cut in two around its ride.
"""

from __future__ import annotations

from dataclasses import dataclass

from demijohn.documents.change import Changed, Target
from demijohn.documents.records import Told
from demijohn.documents.replace import put_one
from demijohn.edge.tellers import Teller
from demijohn.formats.spelling import Draft
from demijohn.front.parts import Means
from demijohn.store.commands import Put
from demijohn.store.documents import Store
from demijohn.store.together import Ticket, Waiter


@dataclass(frozen=True, slots=True)
class Putting:
    """A plain document that is put under an id."""

    means: Means
    store: Store
    """What there is to its caller."""
    teller: Teller
    target: Target
    draft: Draft

    def submit(self, waiter: Waiter[bool | None]) -> Ticket[Put, bool | None]:
        """Have it put with others; the waiter is told if it is new, None for one to `put_apart`.

        It is for one that the collection takes, and whose caller is held to nothing. It never
        blocks. Raises Overloaded.
        """
        put = (self.target.where, self.draft.fields)
        return self.store.puts.submit(self.target.collection, put, waiter)

    def tell(self, *, is_new: bool) -> Told:
        """What is told of one that was put."""
        before = None if is_new else self.target.where
        return self.teller.tell(Changed(before, self.draft.under(self.target.id)))

    def put_apart(self) -> Told:
        """The same of one, by itself. It takes its time. Raises what `store.commands` does."""
        put = self.store.single.put
        return self.tell(is_new=put(self.target.collection, self.target.where, self.draft.fields))

    def put(self) -> Told | None:
        """Put it as the full path does; None where a condition is demanded. It takes its time.

        Raises what `documents.replace.put_one` raises.
        """
        configuration = self.means.configurations.of(self.target.collection)
        if configuration.require_if_match:
            return None
        return self.teller.tell(put_one(self.store, self.target, self.draft, configuration.check))
