"""Whatever is fetched to build, test or run this is held to a hash that stands in the tree."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.support.manifests import ROOT

LISTED = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
    cwd=ROOT,
    check=True,
    capture_output=True,
    text=True,
).stdout.split("\n")
TREE = [ROOT / name for name in LISTED if name and (ROOT / name).is_file()]
LOCKS = [path for path in TREE if re.fullmatch(r"requirements.*\.txt", path.name)]
MODULES = [path for path in TREE if path.name == "go.mod"]
RECIPES = [
    path
    for path in TREE
    if path.suffix == ".sh" or path.name in {"Makefile", "Dockerfile"} or path.parts[-2] == ".ci"
]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _commands(path: Path) -> list[str]:
    """The lines of a recipe, continued ones joined, without comments."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if not line.lstrip().startswith("#")]


def test_there_is_something_to_look_at() -> None:
    """Locks, modules of Go and recipes are found, so that the rules below can fail."""
    assert {"requirements.txt", "requirements-dev.txt"} <= set(map(_name, LOCKS))
    assert {"Dockerfile", "Makefile", "tools/venv.sh", ".ci/run"} <= set(map(_name, RECIPES))
    assert len(MODULES) > 5


@pytest.mark.parametrize("lock", LOCKS, ids=_name)
def test_no_lock_names_an_address(lock: Path) -> None:
    """No index, no link, no option: it says what the files are, and not where they come from."""
    lines = [line.strip() for line in _commands(lock)]
    entries = [line.partition(" --hash")[0] for line in lines]

    assert [line for line in entries if "://" in line or line.startswith("-")] == []


@pytest.mark.parametrize("recipe", RECIPES, ids=_name)
def test_pip_installs_what_has_a_hash_and_nothing_else(recipe: Path) -> None:
    """Wherever a recipe lets pip or uv install, it demands hashes; it fetches no file by itself."""
    commands = _commands(recipe)
    installs = [line for line in commands if re.search(r"\bpip\b.*\binstall\b", line)]
    fetches = [line for line in commands if re.search(r"\b(curl|wget)\b[^#]*https?://", line)]

    assert [line for line in installs if "uninstall" not in line and not _is_held(line)] == []
    assert [line for line in fetches if "127.0.0.1" not in line and "localhost" not in line] == []


def _is_held(line: str) -> bool:
    return "--require-hashes" in line


@pytest.mark.parametrize("module", MODULES, ids=_name)
def test_every_module_of_go_has_its_sums(module: Path) -> None:
    """go.sum knows each module that go.mod requires; what it lacks, Go refuses to build."""
    text = module.read_text(encoding="utf-8")
    replaced = set(re.findall(r"^\s*(?:replace )?(\S+)(?: v\S+)? =>", text, re.MULTILINE))
    required = set(re.findall(r"^(?:require )?\s*([\w./~-]+\.[\w./~-]+) v", text, re.MULTILINE))
    sums = module.with_name("go.sum").read_text(encoding="utf-8").splitlines()

    assert required
    assert required - replaced - {line.split()[0] for line in sums} == set()
    assert [line for line in sums if not re.fullmatch(r"\S+ v\S+ h1:[\w+/]{43}=", line)] == []


@pytest.mark.parametrize("recipe", RECIPES, ids=_name)
def test_no_recipe_turns_gos_checks_off(recipe: Path) -> None:
    """No flag or variable lets Go take what go.sum does not hold (go.dev/ref/mod)."""
    text = recipe.read_text(encoding="utf-8")

    assert re.findall(r"-mod=mod|GONOSUM\w+|GOFLAGS|GOINSECURE|GONOSUMDB|GOSUMDB=off", text) == []


def _wheel(directory: Path) -> Path:
    """A package that nobody has published."""
    path = directory / "demijohn_nobodys-1-py3-none-any.whl"
    about = "demijohn_nobodys-1.dist-info"
    with ZipFile(path, "w") as archive:
        archive.writestr(
            f"{about}/METADATA", "Metadata-Version: 2.1\nName: demijohn-nobodys\nVersion: 1\n"
        )
        archive.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{about}/RECORD", "")
    return path


@pytest.mark.parametrize("taken", [True, False])
def test_what_has_another_hash_is_not_installed(tmp_path: Path, taken: bool) -> None:  # noqa: FBT001 - a case
    """`--require-hashes` takes the file of the lock, and none of which one digit differs."""
    wheel = _wheel(tmp_path)
    right = hashlib.sha256(wheel.read_bytes()).hexdigest()
    wrong = ("1" if right[0] == "0" else "0") + right[1:]
    lock = tmp_path / "requirements.txt"
    lock.write_text(
        f"demijohn-nobodys==1 --hash=sha256:{right if taken else wrong}\n", encoding="utf-8"
    )
    options = ["--isolated", "--no-index", "--find-links", str(tmp_path), "--require-hashes"]
    options += ["--target", str(tmp_path / "goal"), "-r", str(lock)]

    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode == 0) == taken
    assert ("DO NOT MATCH THE HASHES" in done.stderr) != taken
    assert (tmp_path / "goal").exists() == taken
