"""The image through a registry, as `docker push` and a cluster's `pull` take it."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from tests.support.containers import IMAGE, docker, inspect
from tests.support.database import free_port
from tests.support.lab import lab_tool
from tests.support.processes import wait_until


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """The address of an empty registry on this machine."""
    command = lab_tool("registry")
    address = f"127.0.0.1:{free_port()}"
    config = tmp_path / "registry.yaml"
    config.write_text(
        "version: 0.1\n"
        f"storage: {{filesystem: {{rootdirectory: {tmp_path / 'images'}}}}}\n"
        f"http: {{addr: '{address}'}}\n"
    )
    with (tmp_path / "registry.log").open("wb") as log:
        process = subprocess.Popen(
            [command, "serve", str(config)],
            env={**os.environ, "OTEL_TRACES_EXPORTER": "none"},
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(lambda: _answers(address) or process.poll() is not None, "the registry answers")
        assert process.poll() is None, (tmp_path / "registry.log").read_text()
        yield address
    finally:
        process.terminate()
        process.wait()


def _answers(address: str) -> bool:
    try:
        return urllib3.request("GET", f"http://{address}/v2/", retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def _damaged(address: str) -> list[str]:
    """The parts of the pushed image that the registry does not give back as they are named."""
    name, _, tag = IMAGE.partition(":")
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    base = f"http://{address}/v2/{name}"
    manifest = urllib3.request("GET", f"{base}/manifests/{tag}", headers={"Accept": kind}).json()
    digests = [each["digest"] for each in (manifest["config"], *manifest["layers"])]
    contents = {each: urllib3.request("GET", f"{base}/blobs/{each}").data for each in digests}
    return [
        digest
        for digest, content in contents.items()
        if digest != f"sha256:{hashlib.sha256(content).hexdigest()}"
    ]


def test_a_pushed_image_comes_back_the_same(registry: str) -> None:
    """Pushed, forgotten here, pulled: the same image, which says the same version."""
    there = f"{registry}/{IMAGE}"
    before = inspect(IMAGE)["Id"]
    assert docker("tag", IMAGE, there).code == 0
    try:
        pushed = docker("push", there)
        assert pushed.code == 0, pushed.out
        assert docker("rmi", there).code == 0
        assert docker("image", "inspect", there).code != 0

        pulled = docker("pull", there)

        assert pulled.code == 0, pulled.out
        assert inspect(there)["Id"] == before
        # The engine fetched none of the layers that it has: so each is looked at in the registry.
        assert _damaged(registry) == []
    finally:
        docker("rmi", there)
    assert inspect(IMAGE)["Id"] == before


def test_what_was_never_pushed_is_not_there(registry: str) -> None:
    """The control: the registry of the test holds nothing by itself."""
    pulled = docker("pull", f"{registry}/{IMAGE}")

    assert pulled.code != 0
    assert "not found" in pulled.out
