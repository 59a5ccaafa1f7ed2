"""Eve on the guide's collection, as its own documentation sets it up: a peer.

Any document is taken. XML is off, since nobody asks for it here, and so is paging, since the whole
collection is one of the questions.
"""

import os

from eve import Eve

app = Eve(
    settings={
        "MONGO_URI": os.environ["MONGODB_URI"],
        "MONGO_DBNAME": "flask_db",
        # As everybody's. Eve hands on `w` alone; the server flushes each commit all the same.
        "MONGO_WRITE_CONCERN": {"w": "majority", "journal": True},
        "DOMAIN": {"data": {"allow_unknown": True, "schema": {}}},
        "RESOURCE_METHODS": ["GET", "POST"],
        "ITEM_METHODS": ["GET"],
        "RENDERERS": ["eve.render.JSONRenderer"],
        "PAGINATION": False,
    }
)
