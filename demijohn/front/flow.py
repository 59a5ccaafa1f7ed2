"""Flow control of one connection."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.flow_control import FlowControl


class Flow(FlowControl):
    """Flow control in which reading can be held back, whoever wants it resumed."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self._is_held = False

    def hold(self, *, back: bool) -> None:
        """Hold reading back, or let it go on."""
        if back == self._is_held:
            return  # uvicorn may have paused reading for reasons of its own
        self._is_held = back
        if back:
            self.pause_reading()
        else:
            self.resume_reading()

    def resume_reading(self) -> None:
        """Go on reading, unless it is held back."""
        if not self._is_held:
            super().resume_reading()
