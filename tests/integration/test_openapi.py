"""The service held against its own OpenAPI document, and the page that shows it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from pydantic import SecretStr
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from answering.http.app import create_app
from resources.postgres import Database
from resources.settings import Settings
from tests.doubles.llm_server import LLMServer
from tests.integration.processes import until
from tests.integration.serving import serving
from tests.integration.spaces import add_items, build, embed, own, ready, release

EXAMPLES = 100
UNLIMITED = {
    "github_webhook_secret": SecretStr("secret"), "rate_per_minute": 100_000, "anonymous_per_minute": 100_000,
}  # fmt: skip
QUESTION = "What is known about the parser?"
GOOD = {
    "GET /readyz": {},
    "GET /v1/models": {},
    "GET /v1/search": {"query": {"q": QUESTION}},
    "POST /v1/ask": {"body": {"question": QUESTION}, "media_type": "application/json"},
    "POST /v1/chat/completions": {
        "body": {"model": "starsearch", "messages": [{"role": "user", "content": QUESTION}]},
        "media_type": "application/json",
    },
}
"""Requests that are answered with 200: chance finds a question among all texts too seldom."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture
def url(settings: Settings, database: Database, tools: Database) -> Iterator[str]:
    """The whole service, ready, over a release."""
    with LLMServer(models=("first",), dimensions=16) as server:
        chosen = own(settings, server).model_copy(update=UNLIMITED)
        add_items(database, days=2)
        embed(database, chosen, days=2)
        build(database, "first")
        assert release(database, tools, "first").release_id is not None
        with serving(create_app(chosen)) as url:
            until(lambda: ready(url).get("ready"))
            yield url


def test_no_request_breaks_the_service(url: str) -> None:
    """Whatever is asked within the document or beside it, what comes back is in the document, and no server error."""
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    answered: dict[str, set[int]] = {}
    for result in schema.get_all_operations():
        operation = result.ok()
        wrong = operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)

        @limits(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy() | wrong)
        def try_out(case: schemathesis.Case) -> None:
            reply = case.call_and_validate(checks=CHECKS, timeout=120)
            answered.setdefault(case.operation.label, set()).add(reply.status_code)

        if (good := GOOD.get(operation.label)) is not None:
            reply = operation.Case(**good).call_and_validate(checks=CHECKS, timeout=120)
            answered.setdefault(operation.label, set()).add(reply.status_code)
        try_out()
    served = {label for label, statuses in answered.items() if 200 in statuses}
    assert set(GOOD) <= served
    assert 400 in answered["POST /v1/chat/completions"]
    assert 404 in answered["GET /v1/repos/{owner}/{name}/lottery-factor"]
    assert 404 in answered["GET /v1/answers/{answer_id}/lineage"]
