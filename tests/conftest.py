"""Fixtures shared by the tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says something about the machine's other work, and nothing about the code.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real annotations and sample media beside the repository; the test is skipped where it is absent."""
    root = Path(os.environ.get("AQAUDIT_SHARED", REPOSITORY.parent / "shared")) / "data"
    if not root.is_dir():
        pytest.skip("real sample data are not here (AQAUDIT_SHARED names their folder)")
    return root


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the cache of source hashes out of the user's home."""
    monkeypatch.setenv("AQAUDIT_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
