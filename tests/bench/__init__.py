"""Measurements beside peers, on one machine and one database. They assert nothing about time.

``python -m tests.bench``: the service beside the guide's own code. Downwards through its files:
`rounds` (who is loaded when) → `contenders` (what is loaded) and `load` (with what) → `usage`
(what it cost) and `counting` (whether all that was acknowledged is there) → `report`.

``python -m tests.bench.measure``: the service alone: ready time, memory, half-sent requests.

``python -m tests.bench.writes``: what a condition and a key cost over the plain write.
"""
