"""Everything here needs kubectl, which renders and asks no cluster."""

from __future__ import annotations

import pytest

from tests.kubernetes.rendering import missing


@pytest.fixture(autouse=True)
def needs_kubectl(request: pytest.FixtureRequest) -> None:
    """Skips where kubectl is missing or too old, unless a test works on files."""
    if "files_only" not in request.keywords and (why := missing()) is not None:
        pytest.skip(f"{why}: `kubectl kustomize` renders what is tested here")
