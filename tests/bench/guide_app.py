"""The guide's own `app.py`, as it is copied everywhere; only the type hints are ours."""

import os
from datetime import datetime
from typing import Any

from flask import Flask, Response, jsonify, request
from pymongo import MongoClient

app = Flask(__name__)

client: MongoClient[dict[str, Any]] = MongoClient(
    os.environ.get("MONGODB_URI", "mongodb://localhost:27017/")
)
db = client.flask_db
collection = db.data


@app.route("/")
def index() -> str:
    """The time, as the guide tells it."""
    return f"Welcome to the Flask app! The current time is: {datetime.now()}"  # noqa: DTZ005 - so has the guide


@app.route("/data", methods=["GET", "POST"])
def data() -> tuple[Response, int]:
    """Keep a document, or list all of them."""
    if request.method == "POST":
        collection.insert_one(request.get_json())
        return jsonify({"status": "Data inserted"}), 201
    return jsonify(list(collection.find({}, {"_id": 0}))), 200
