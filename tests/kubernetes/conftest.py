"""Everything here needs kubectl, which renders and asks no cluster."""

from __future__ import annotations

import pytest

from tests.kubernetes.rendering import kubectl


@pytest.fixture(autouse=True)
def needs_kubectl(request: pytest.FixtureRequest) -> None:
    """Skips where kubectl is missing, unless a test works on files."""
    if kubectl() is None and "files_only" not in request.keywords:
        pytest.skip("kubectl is not installed: its `kustomize` renders what is tested here")
