"""In which order the files of these tests begin, so that no processor is left without work."""

from __future__ import annotations

import pytest

LONGEST = (
    "test_drill_command",
    "test_drill_keys",
    "test_configure",
    "test_embedded",
    "test_changes",
    "test_memory_attack",
    "test_guide",
    "test_docs_browser",
    "test_memory",
    "test_launcher",
    "test_http_edges",
    "test_import_export_cut",
    "test_one_command",
    "test_real_input",
    "test_exactly_once",
)
"""Files that take the longest, the longest first. Begun last, one of them would run alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; everything else stays in its order."""
    place = {f"{name}.py": at for at, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))
