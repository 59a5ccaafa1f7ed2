"""The patterns of the routes that both paths answer, as logs and metrics name them."""

from __future__ import annotations

GUIDE = "/data"
DOCUMENTS = "/v1/collections/<collection>/documents"
DOCUMENT = f"{DOCUMENTS}/<any_path:segment>"
