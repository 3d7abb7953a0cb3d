"""Threads over real HTTP: kept, named, shared, rated, deleted; and out of reach of everybody else, by every route."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets.forgetting import forget_repository
from tests.doubles.llm_server import LLMServer
from tests.integration.faces import (
    ANYWHERE,
    IDENTITY,
    QUESTION,
    answerable,
    answering,
    ask,
    browser,
    new_thread,
    person,
    problem,
    proxied,
    with_key,
)
from tests.integration.test_streams import events


@pytest.fixture
def url(settings: Settings, database: Database, tools: Database) -> Iterator[str]:
    """A service that answers, without an LLM, and stands behind a proxy."""
    with LLMServer(models=("first",), dimensions=16) as server:
        settings = proxied(answerable(settings, database, tools, server))
        settings = settings.model_copy(update={"rate_per_minute": 10_000, "anonymous_per_minute": 10_000})
        with answering(settings) as url:
            yield url


def test_a_thread_keeps_what_was_asked_and_answered(url: str) -> None:
    """Both messages, in order; the answer as POST /v1/ask gave it; the title is the first question until renamed."""
    with browser(url) as client:
        thread = client.post("/v1/threads").json()
        assert (thread["title"], thread["share_id"]) == (None, None)
        first = ask(client, thread["thread_id"])
        ask(client, thread["thread_id"], "And " + "very " * 30 + "many more?")
        found = client.get(f"/v1/threads/{thread['thread_id']}").json()
        assert found["title"] == QUESTION
        assert [one["role"] for one in found["messages"]] == ["user", "assistant"] * 2
        asked, answered = found["messages"][:2]
        assert (asked["text"], asked["answer"], asked["feedback"]) == (QUESTION, None, None)
        assert answered["answer"] == first
        assert answered["text"] == first["answer"]
        assert (answered["message_id"], thread["thread_id"]) == (first["message_id"], first["thread_id"])
        renamed = client.patch(f"/v1/threads/{thread['thread_id']}", json={"title": "Mirrors"})
        assert renamed.json()["title"] == "Mirrors"
        assert client.get("/v1/threads").json()["threads"][0]["title"] == "Mirrors"


def test_a_long_first_question_is_a_short_title(url: str) -> None:
    """Cut, and marked as cut; one that fits is kept whole."""
    with browser(url) as client:
        thread = new_thread(client)
        ask(client, thread, "What about " + "mirrors and " * 20 + "more?")
        title = client.get(f"/v1/threads/{thread}").json()["title"]
    assert len(title) <= 80
    assert title.startswith("What about mirrors")
    assert title.endswith("…")


def test_an_answer_without_a_thread_is_kept_in_none(url: str) -> None:
    """Its ids are null, and nothing is owned: no cookie is set."""
    with browser(url) as client:
        answer = ask(client)
        assert (answer["thread_id"], answer["message_id"], answer["note"]) == (None, None, None)
        assert not client.cookies
        assert client.get("/v1/threads").json() == {"threads": []}


def test_a_streamed_answer_is_kept_as_well(url: str) -> None:
    """`done` names the thread and the message."""
    with browser(url) as client:
        thread = new_thread(client)
        body = {"question": QUESTION, "thread_id": thread}
        told = events(client.post("/v1/ask", json=body, headers={"Accept": "text/event-stream"}).text)
        name, done = told[-1]
        message = client.get(f"/v1/threads/{thread}").json()["messages"][1]
    assert name == "done"
    assert done["thread_id"] == thread
    assert message["answer"] == done


def test_a_follow_up_takes_what_the_thread_named(url: str) -> None:
    """And says so; in another thread, or in none, it takes nothing."""
    with browser(url) as client:
        thread = new_thread(client)
        ask(client, thread, "What is new in acme/web about mirrors?")
        for thread_id, assumed in ((thread, True), (new_thread(client), False), (None, False)):
            body = {"question": "and what about its telescope?", "thread_id": thread_id}
            told = events(client.post("/v1/ask", json=body, headers={"Accept": "text/event-stream"}).text)
            texts = [data["text"] for name, data in told if name == "status"]
            assert ("Taken from the question before: acme/web." in texts) is assumed
            assert told[-1][0] == "done"


def test_threads_come_in_pages_newest_first(url: str) -> None:
    """`before` goes on behind the last one; being asked in makes a thread the newest."""
    with browser(url) as client:
        made = [new_thread(client, title=f"Number {number}") for number in range(5)]
        ask(client, made[0])
        expected = [made[0], *reversed(made[1:])]
        first = client.get("/v1/threads", params={"limit": 2}).json()["threads"]
        rest = client.get("/v1/threads", params={"before": first[-1]["thread_id"]}).json()["threads"]
        assert [one["thread_id"] for one in first + rest] == expected
        assert client.get("/v1/threads", params={"limit": 0}).status_code == 422


def test_a_shared_thread_is_read_by_anybody_until_it_is_unshared(url: str) -> None:
    """The same link when asked again, another one afterwards; neither owner nor feedback is shown."""
    with browser(url) as client, browser(url) as stranger:
        thread = new_thread(client)
        message = ask(client, thread)["message_id"]
        client.post(f"/v1/messages/{message}/feedback", json={"rating": "down", "reason": "secret reason"})
        share = client.post(f"/v1/threads/{thread}/share").json()
        assert share == client.post(f"/v1/threads/{thread}/share").json()
        assert share["path"] == f"/s/{share['share_id']}"
        assert len(share["share_id"]) >= 32
        assert "<title>" in stranger.get(share["path"]).text
        shown = stranger.get(f"/v1/shared/{share['share_id']}")
        assert shown.json()["messages"][0]["text"] == QUESTION
        assert "secret reason" not in shown.text
        assert thread not in shown.text
        for method in ("PATCH", "DELETE", "POST", "PUT"):
            assert stranger.request(method, f"/v1/shared/{share['share_id']}").status_code == 405
        assert client.delete(f"/v1/threads/{thread}/share").status_code == 204
        assert stranger.get(f"/v1/shared/{share['share_id']}").status_code == 404
        assert client.post(f"/v1/threads/{thread}/share").json() != share


def test_who_has_a_link_reads_where_its_answers_come_from(
    settings: Settings, database: Database, tools: Database
) -> None:
    """Also where nobody is answered without a key; of the answers in that thread alone, while it is shared, and without
    the address of the Dagster UI."""
    with LLMServer(models=("first",), dimensions=16) as server:
        settings = answerable(settings, database, tools, server)
        settings = settings.model_copy(update={"dagster_ui_url": "https://dagster.example.com"})
        with answering(settings, ANYWHERE) as url, with_key(url, database) as client, browser(url) as stranger:
            thread, private = new_thread(client), new_thread(client)
            shown, hidden, loose = ask(client, thread), ask(client, private), ask(client)
            share = client.post(f"/v1/threads/{thread}/share").json()["share_id"]
            other = client.post(f"/v1/threads/{private}/share").json()["share_id"]
            (_, told) = stranger.get(f"/v1/shared/{share}").json()["messages"]
            assert told["answer"]["citations"] == shown["citations"] != []
            found = stranger.get(f"/v1/shared/{share}/answers/{shown['answer_id']}/lineage")
            assert found.status_code == 200
            own = client.get(f"/v1/answers/{shown['answer_id']}/lineage").json()
            assert [len(one["steps"]) for one in found.json()["citations"]] == [
                len(one["steps"]) for one in own["citations"]
            ]
            assert any("run_url" in step for one in own["citations"] for step in one["steps"])
            assert "dagster.example.com" not in found.text
            for link, answer in ((share, hidden), (share, loose), (other, shown), ("none", shown)):
                reply = stranger.get(f"/v1/shared/{link}/answers/{answer['answer_id']}/lineage")
                assert "No such answer is shared" in problem(reply, 404)
            for path in (f"answers/{shown['answer_id']}/lineage", f"threads/{thread}", "threads", "search?q=mirrors"):
                problem(stranger.get(f"/v1/{path}"), 401)
            client.delete(f"/v1/threads/{thread}/share")
            problem(stranger.get(f"/v1/shared/{share}/answers/{shown['answer_id']}/lineage"), 404)


def test_an_answer_is_rated_and_the_rating_taken_back(url: str) -> None:
    """With a reason; only answers are rated."""
    with browser(url) as client:
        thread = new_thread(client)
        ask(client, thread)
        asked, answered = client.get(f"/v1/threads/{thread}").json()["messages"]
        path = f"/v1/messages/{answered['message_id']}/feedback"

        def told() -> Any:
            return client.get(f"/v1/threads/{thread}").json()["messages"][1]["feedback"]

        assert client.post(path, json={"rating": "down", "reason": "It is \0 wrong."}).status_code == 200
        assert told() == {"rating": "down", "reason": "It is  wrong."}
        assert client.post(path, json={"rating": "up"}).json() == {"rating": "up", "reason": None}
        assert client.post(path, json={"rating": None}).status_code == 200
        assert told() is None
        assert client.post(path, json={"rating": "meh"}).status_code == 422
        assert client.post(path, json={"rating": "up", "reason": "x" * 2001}).status_code == 422
        on_question = client.post(f"/v1/messages/{asked['message_id']}/feedback", json={"rating": "up"})
        assert on_question.status_code == 404


def test_a_deleted_thread_takes_everything_along(url: str, database: Database) -> None:
    """Messages, feedback and the link; the answer itself stays, as one that nobody's thread names."""
    with browser(url) as client:
        thread = new_thread(client)
        message = ask(client, thread)["message_id"]
        client.post(f"/v1/messages/{message}/feedback", json={"rating": "up"})
        share = client.post(f"/v1/threads/{thread}/share").json()["share_id"]
        assert client.delete(f"/v1/threads/{thread}").status_code == 204
        assert client.get(f"/v1/threads/{thread}").status_code == 404
        assert client.delete(f"/v1/threads/{thread}").status_code == 404
        assert client.get(f"/v1/shared/{share}").status_code == 404
        assert client.post(f"/v1/messages/{message}/feedback", json={"rating": "up"}).status_code == 404
    assert database.fetch_value("SELECT count(*) FROM service.turns") == 0


def test_what_is_forgotten_is_gone_from_threads(url: str, database: Database) -> None:
    """An answer that cites a forgotten repository leaves with its question, and the title that it gave."""
    with browser(url) as client:
        thread = new_thread(client)
        assert ask(client, thread)["citations"]
        forget_repository(database, 1, "private")
        found = client.get(f"/v1/threads/{thread}").json()
    assert (found["messages"], found["title"]) == ([], None)


def test_what_postgresql_cannot_hold_is_left_out_or_refused(url: str) -> None:
    """U+0000 and lone surrogates in titles, questions, reasons and searches: no error of the server's."""
    with browser(url) as client:
        thread = new_thread(client, title="a\0b")
        assert client.get(f"/v1/threads/{thread}").json()["title"] == "ab"
        assert ask(client, thread, "What about \0 mirrors?")["thread_id"] == thread
        headers = {"Content-Type": "application/json"}
        for path, body in (
            ("/v1/threads", rb'{"title": "\ud800"}'),
            ("/v1/ask", rb'{"question": "mirrors \ud800"}'),
            ("/v1/ask", rb'{"question": "mirrors", "scope": {"repos": ["a/\u0000"]}}'),
            ("/v1/session", rb'{"key": "ss_\u0000"}'),
        ):
            assert client.post(path, content=body, headers=headers).status_code < 500, body
        assert client.get("/v1/search?q=mirrors&author=%00").status_code < 500
        assert client.get("/v1/shared/%00").status_code < 500


class Owned:
    """Somebody's thread, with a question in it, and its ids."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.thread = new_thread(client, title="private title")
        self.message = ask(client, self.thread)["message_id"]

    def snapshot(self) -> Any:
        return self.client.get(f"/v1/threads/{self.thread}").json()


BODIES: dict[tuple[str, str], Any] = {
    ("patch", "/v1/threads/{thread_id}"): {"title": "taken over"},
    ("post", "/v1/messages/{message_id}/feedback"): {"rating": "down", "reason": "not yours"},
}


def test_nobody_reaches_the_thread_of_another_by_any_route(url: str, database: Database) -> None:
    """Two browsers, two keys and two persons: each route that takes an id of a thread or a message tells a stranger
    what it tells of an id that does not exist, and changes nothing. Every route with a parameter is known here."""
    document = httpx.get(f"{url}/openapi.json").json()
    routes = [
        (method, path)
        for path, methods in document["paths"].items()
        for method in methods
        if "{thread_id}" in path or "{message_id}" in path
    ]
    assert len(routes) >= 6
    others = {path for path in document["paths"] if "{" in path} - {path for _, path in routes}
    known = {
        "/v1/answers/{answer_id}/lineage", "/v1/shared/{share_id}", "/v1/models/{name}",
        "/v1/repos/{owner}/{name}/lottery-factor", "/v1/shared/{share_id}/answers/{answer_id}/lineage",
    }  # fmt: skip
    assert others == known, "whose is what a new route shows?"
    callers = [browser(url), browser(url), with_key(url, database), with_key(url, database),
               person(url, "ada@example.com"), person(url, "bob@example.com")]  # fmt: skip
    owned = [Owned(client) for client in callers]
    owned[0].client.post(f"/v1/threads/{owned[0].thread}/share")
    before = [one.snapshot() for one in owned]
    for mine in owned:
        listed = mine.client.get("/v1/threads").json()["threads"]
        assert [one["thread_id"] for one in listed] == [mine.thread]
        for theirs in owned:
            if theirs is mine:
                continue
            for method, path in routes:
                body = BODIES.get((method, path))
                assert body is not None or method in ("get", "delete", "post"), (method, path)
                told = []
                for thread, message in ((theirs.thread, theirs.message), (str(uuid.uuid4()), str(uuid.uuid4()))):
                    address = path.format(thread_id=thread, message_id=message)
                    reply = mine.client.request(method, address, json=body)
                    assert reply.status_code == 404, (method, path)
                    told.append(reply.json()["detail"].replace(thread, "…").replace(message, "…"))
                assert told[0] == told[1]
            asked = mine.client.post("/v1/ask", json={"question": QUESTION, "thread_id": theirs.thread})
            assert asked.status_code == 404
            paged = mine.client.get("/v1/threads", params={"before": theirs.thread}).json()
            assert paged == {"threads": []}
    nobody = browser(url)
    assert nobody.get(f"/v1/threads/{owned[0].thread}").status_code == 404
    assert [one.snapshot() for one in owned] == before
    for client in (*callers, nobody):
        client.close()


def test_an_identity_is_one_owner_wherever_it_comes_from(url: str) -> None:
    """The same person in another browser has the same threads; the header's case does not matter, the name's does."""
    with person(url, "ada@example.com") as one, person(url, "ada@example.com") as other:
        thread = new_thread(one)
        assert other.get(f"/v1/threads/{thread}").status_code == 200
        other.headers[IDENTITY] = "Ada@example.com"
        assert other.get(f"/v1/threads/{thread}").status_code == 404
