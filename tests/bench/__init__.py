"""Measurements beside peers, on one machine and one database. They assert nothing about time.

``python -m tests.bench``: the service beside its floor and its peers. Downwards through its files:
`sections` (the parts of a run) → `rounds` (who is loaded when) and `listing` → `entrants` (with
what question) → `contenders` (what is loaded), `bare` (the driver alone), `load` and `threads` (by
what) → `usage` (what it cost) and `counting` (whether all that was acknowledged is there). Then
`tables`, `targets` and `report`. Peers are `guide_app`, `eve_app`, `fastapi_app`, and the project's
own reference `floor`; `peers/` has their requirements.

``python -m tests.bench.growth``: how cost grows; `plots` draws it, `publish` fills the page.

``python -m tests.bench.measure``: the service alone: ready time, memory, half-sent requests.

``python -m tests.bench.writes``, ``….changes``, ``….transfer``: what a condition and a key cost
over the plain write; streams of live changes; import and export beside MongoDB's own tools.
"""
