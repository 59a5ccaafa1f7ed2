"""The guide's service as FastAPI's users write it, with PyMongo's asynchronous API: a peer."""

import os
from typing import Any

from bson import ObjectId
from bson.errors import InvalidId
from fastapi import FastAPI, HTTPException
from pymongo import AsyncMongoClient

Document = dict[str, Any]
client: AsyncMongoClient[Document] = AsyncMongoClient(os.environ["MONGODB_URI"])
collection = client["flask_db"]["data"]
app = FastAPI()


async def insert(document: Document) -> dict[str, str]:
    """Keep a document."""
    await collection.insert_one(document)
    return {"status": "Data inserted"}


async def every() -> list[Document]:
    """List all documents."""
    return await collection.find({}, {"_id": 0}).to_list()


async def one(id_: str) -> Document:
    """Read one document."""
    try:
        found = await collection.find_one({"_id": ObjectId(id_)})
    except InvalidId:
        raise HTTPException(404) from None
    if found is None:
        raise HTTPException(404)
    return {**found, "_id": id_}


app.add_api_route("/data", insert, methods=["POST"], status_code=201)
app.add_api_route("/data", every, methods=["GET"])
app.add_api_route("/data/{id_}", one, methods=["GET"])
