"""The guide's requests, from outside and inside the cluster, and what outlives a pod."""

from __future__ import annotations

import base64
import json
import re
import uuid
from typing import Any

from tests.support.api import Api
from tests.support.cluster import APP, DATABASE, SLOW, Cluster, restricted_pod
from tests.support.processes import wait_until

ASK = """
import socket, urllib.request
for name in {names!r}:
    socket.getaddrinfo(name, 5000)
    print(urllib.request.urlopen(f"http://{{name}}:5000/", timeout=10).read().decode())
"""


def test_the_guides_requests_through_the_node_port(service: Cluster) -> None:
    """From outside: the three requests get what the guide promises."""
    api = Api(service.url)
    marker = uuid.uuid4().hex
    welcome = api.get("/")
    posted = api.insert({"marker": marker})
    listed = api.get("/data")

    assert re.fullmatch(
        r"Welcome to the Flask app! The current time is: [-0-9]{10} [.:0-9]+", welcome.body.decode()
    )
    assert (posted.status, posted.body) == (201, b'{"status":"Data inserted"}\n')
    assert {"marker": marker} in listed.json()


def test_the_service_is_found_by_its_name(service: Cluster) -> None:
    """From another pod: the short name and each longer one lead to the service."""
    full = f"flask-service.{service.namespace}.svc.cluster.local"
    names = ["flask-service", full.partition(".svc")[0], full]
    service.apply(restricted_pod("asking", ["python", "-c", ASK.format(names=names)]))
    try:
        wait_until(
            lambda: service.get("pod/asking")["status"]["phase"] in ("Succeeded", "Failed"),
            "the pod has asked",
        )
        said = service.run("logs", "asking")
    finally:
        service.run("delete", "pod/asking", "--wait=true")

    assert said.count("Welcome to the Flask app!") == len(names), said


def test_documents_outlive_the_database_pod(service: Cluster) -> None:
    """Deleting the pod deletes no document: the volume waits for the next one."""
    marker = uuid.uuid4().hex
    api = Api(service.url)
    assert api.insert({"marker": marker}).status == 201
    (before,) = service.ready(DATABASE)

    service.run("delete", "pod/mongodb-0", "--wait=true")
    service.settle()

    (after,) = service.ready(DATABASE)
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    wait_until(lambda: api.get("/data").status == 200, "the database is found")
    assert api.get("/data").json().count({"marker": marker}) == 1


def test_the_service_speaks_as_a_user_with_few_rights(service: Cluster) -> None:
    """The URI's user reads and writes its database, and can neither make users nor see others."""
    script = (
        "import os, json, pymongo\n"
        "from pymongo.errors import OperationFailure\n"
        "client = pymongo.MongoClient(os.environ['MONGODB_URI'])\n"
        "def code(action):\n"
        "    try: action(); return 0\n"
        "    except OperationFailure as error: return error.code\n"
        "print(json.dumps([\n"
        "    code(lambda: client.flask_db.data.find_one()),\n"
        "    code(lambda: client.other.data.insert_one({})),\n"
        "    code(lambda: client.admin.command('createUser', 'x', pwd='x', roles=['root'])),\n"
        "]))\n"
    )

    said = service.run("exec", "deploy/flask-deployment", "--", "python", "-c", script)

    assert json.loads(said) == [0, 13, 13]


def test_new_passwords_reach_every_pod(service: Cluster) -> None:
    """The way that docs/reference/database.md tells: new URI in the pods, the documents there."""
    marker = uuid.uuid4().hex
    api = Api(service.url)
    assert api.insert({"marker": marker}).status == 201
    # Before its pod ends: Cluster.forget_connections tells why.
    api.close()

    service.run("scale", "deployment/flask-deployment", "statefulset/mongodb", "--replicas=0")
    wait_until(lambda: not service.pods(APP) + service.pods(DATABASE), "nothing runs", SLOW)
    secret = service.get("secret/flask-mongodb-auth")
    new = re.sub(r"(?<=:)[^:@/]+(?=@)", uuid.uuid4().hex, _decoded(secret, "uri"))
    secret["data"]["uri"] = base64.b64encode(new.encode()).decode()
    service.run("replace", "--force", "-f", "-", given=json.dumps(secret))
    service.run("scale", "deployment/flask-deployment", "statefulset/mongodb", "--replicas=1")
    service.settle()
    service.wait_for_replicas(2)

    assert (
        service.run("exec", "deploy/flask-deployment", "--", "printenv", "MONGODB_URI")
        == f"{new}\n"
    )
    assert api.get("/data").json().count({"marker": marker}) == 1


def _decoded(secret: Any, key: str) -> str:
    return base64.b64decode(secret["data"][key]).decode()
