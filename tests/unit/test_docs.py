"""The reference pages and the code say the same: what is missing is named, line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from dotenv import dotenv_values

from demijohn.errors import problem_classes
from demijohn.exits import Exit
from demijohn.settings import Settings, load, variable
from demijohn.telemetry.metrics import Metrics

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
UNSET = "unset"


def _pages() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def _rows(page: str) -> set[str]:
    """The rows of the page's tables, heads and rules left out."""
    lines = (REFERENCE / page).read_text(encoding="utf-8").splitlines()
    return {
        line
        for line, following in zip(lines, [*lines[1:], ""], strict=True)
        if line.startswith("|") and not line.startswith("|--") and not following.startswith("|--")
    }


def _shown_defaults() -> dict[str, str]:
    """What the settings page shows as each setting's default."""
    cells = [[cell.strip() for cell in row.split("|")] for row in _rows("settings.md")]
    return {cell[1].strip("`"): cell[2].strip("`") for cell in cells}


def test_the_settings_page_says_what_the_code_does() -> None:
    """Every setting has its line, with its description and its default as the code has them."""
    shown = _shown_defaults()
    expected = {
        f"| `{name}` | {default if default == UNSET else f'`{default}`'} | {field.description} |"
        for name, default, field in (
            (variable(name), shown.get(variable(name), "?"), field)
            for name, field in Settings.model_fields.items()
        )
    }

    assert expected == _rows("settings.md")


def test_the_defaults_on_the_settings_page_are_the_real_ones() -> None:
    """Whoever sets every variable to what the page shows gets the default settings."""
    given = {name: value for name, value in _shown_defaults().items() if value != UNSET}

    assert load({}) == load(given)


def test_the_example_env_file_changes_nothing() -> None:
    """All of `.env.example` is commented out: a plain copy of it is as if there were none."""
    assert dotenv_values(ROOT / ".env.example") == {}


def test_the_example_env_file_lists_every_setting_with_its_default(tmp_path: Path) -> None:
    """With every `#` taken away it names each setting once and still gives the defaults."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    assignments = re.findall(r"^#([A-Z_]+=.*)$", text, re.MULTILINE)
    copy = tmp_path / ".env"
    copy.write_text("\n".join(assignments), encoding="utf-8")

    assert [variable(name) for name in Settings.model_fields] == [
        line.partition("=")[0] for line in assignments
    ]
    assert load({}) == load({}, copy)


def test_the_example_env_file_explains_every_setting() -> None:
    """Each setting's description stands above it."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    prose = " ".join(line.lstrip("# ") for line in text.splitlines())
    described = [field.description or "?" for field in Settings.model_fields.values()]

    assert [description for description in described if description not in prose] == []


def test_the_problems_page_lists_every_problem() -> None:
    """Status, code, title and meaning of every problem, and no problem that is gone."""
    expected = {
        f"| {each.status} | `{each.code}` | {each.title} | {each.meaning} |"
        for each in problem_classes()
    }

    assert expected == _rows("errors.md")


def test_the_exit_codes_page_lists_every_code() -> None:
    """Number and name of every exit code, each with a meaning, and none that is gone."""
    listed = [re.match(r"\| (\d+) \| `(\w+)` \| \S", row) for row in _rows("exit-codes.md")]

    assert {(each.value, each.name) for each in Exit} == {
        (int(match[1]), match[2]) for match in listed if match
    }
    assert all(listed)


def _metric_rows() -> Iterator[str]:
    registry = Metrics().registry
    for family in registry.collect():
        suffix = "_total" if family.type == "counter" else ""
        # The names of labels are not in what collect() yields for a metric without samples.
        collector = registry._names_to_collectors[family.name]
        labels = ", ".join(f"`{name}`" for name in getattr(collector, "_labelnames", ()))
        yield (
            f"| `{family.name}{suffix}` | {family.type} | {labels or '–'} "
            f"| {family.documentation} |"
        )


def test_the_metrics_page_lists_every_metric() -> None:
    """Name, type, labels and meaning of every metric as /metrics shows them."""
    assert set(_metric_rows()) == _rows("metrics.md")


def _anchors(page: Path) -> set[str]:
    """The fragments that a page's headings can be reached by, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


def _dead_links(page: Path) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        path, _, fragment = target.partition("#")
        goal = page.parent / path if path else page
        if target.startswith("http"):
            continue
        if not goal.exists() or (fragment and fragment not in _anchors(goal)):
            yield f"{page.relative_to(ROOT)} → {target}"


def test_links_between_pages_lead_somewhere() -> None:
    """Every relative link in the documentation names a file and a heading that exist."""
    assert [dead for page in _pages() for dead in _dead_links(page)] == []


@pytest.mark.parametrize("page", _pages(), ids=lambda page: page.name)
def test_names_of_settings_in_the_documentation_exist(page: Path) -> None:
    """No page speaks of a DEMIJOHN_… variable that the code does not know."""
    named = set(re.findall(r"\bDEMIJOHN_[A-Z_]+[A-Z]\b", page.read_text(encoding="utf-8")))

    assert named - {variable(name) for name in Settings.model_fields} == set()


def test_the_code_map_names_every_package() -> None:
    """CONTRIBUTING.md has a line for each package and module at the top of `demijohn/`."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    parts = {
        f"{path.name}/" if path.is_dir() else path.name
        for path in (ROOT / "demijohn").iterdir()
        if path.name not in ("__init__.py", "__main__.py", "__pycache__")
    }
    mapped = set(re.findall(r"^  (\w+(?:/|\.py)) ", text, re.MULTILINE))

    assert parts == mapped
