"""A second embedding model is rolled out and back while the service is asked all the time."""

from __future__ import annotations

import pytest

from answering.errors import ModelMismatch
from answering.http.watcher import ReleaseWatcher
from answering.retrieval import Scope
from answering.session import open_answerer
from resources.embedders import Embedders
from resources.errors import EmbedderError, SpaceRefused
from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets.embeddings.create import create_model
from starsearch_assets.embeddings.drop import drop_model
from starsearch_assets.embeddings.switch import activate_model
from starsearch_assets.release.control import activate_release, drop_unused, resume
from tests.doubles.llm_server import LLMServer
from tests.integration.spaces import (
    Load,
    add_items,
    asked_all_the_time,
    build,
    embed,
    own,
    ready,
    release,
    running_service,
    serving,
    two_models,
)

BUNDLED = "all-MiniLM-L6-v2"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Small releases: the floor of recall is not what is tested here."""
    return settings.model_copy(update={"recall_floor": 0.5})


def test_rolled_out_and_back_without_a_failed_query(settings: Settings, database: Database, tools: Database) -> None:
    """The bundled model serves; another one's space is filled, activated, left, and activated again: one release each,
    every question is answered with ten hits, and the service moves with the release."""
    add_items(database)
    embed(database, settings)
    build(database, BUNDLED)
    releases = [release(database, tools, BUNDLED).release_id]
    with (
        LLMServer(models=("second",), dimensions=24) as server,
        running_service(settings) as url,
        asked_all_the_time(Load(url)) as load,
    ):
        load.sees(releases[0])
        assert create_model(database, Embedders(settings), "second", server.url).dimensions == 24
        embed(database, settings)
        build(database, "second")
        assert serving(database) == [BUNDLED]
        load.asks_on()
        for model in ("second", BUNDLED, "second"):
            result = activate_model(settings, database, tools, model)
            assert result.outcome == "activated"
            assert serving(database) == [model]
            releases.append(result.release_id)
            load.sees(result.release_id)
            load.asks_on()
        asked = len(server.embedded)
        load.asks_on()
        assert len(server.embedded) > asked
        assert ready(url)["error"] is None
    assert load.problems == []
    assert load.releases == releases


def test_artifacts_are_dropped_under_queries(settings: Settings, database: Database, tools: Database) -> None:
    """Nine releases come and old artifacts go, a whole model at the end, while the service is asked: nothing fails."""
    with two_models(settings, database, days=4, dimensions=24) as (settings, server):
        first = release(database, tools, "first").release_id
        with (
            running_service(settings, EMBEDDING_MODEL="first", EMBEDDING_BASE_URL=server.url) as url,
            asked_all_the_time(Load(url)) as load,
        ):
            load.sees(first)
            for number in range(9):
                database.execute("UPDATE pull_requests SET author_login = %s", [f"ada{number}"])
                build(database, "first")
                last = release(database, tools, "first").release_id
                assert drop_unused(database) or number < 7
            drop_model(database, Embedders(settings), "second")
            load.sees(last)
            load.asks_on()
        assert load.problems == []
        assert load.releases == sorted(load.releases)


def test_a_dropped_artifact_is_asked_for_once_more(settings: Settings, database: Database, tools: Database) -> None:
    """Who still holds a release whose artifacts are gone is answered from the active one."""
    with LLMServer(models=("first",)) as server:
        settings = own(settings, server)
        add_items(database, days=4)
        embed(database, settings, days=4)
        build(database, "first")
        release(database, tools, "first")
        with open_answerer(settings) as answerer:
            held = answerer.pinned = answerer.release()
            database.execute("UPDATE pull_requests SET state = 'closed'")
            build(database, "first")
            newest = release(database, tools, "first").release_id
            gone = next(one for one in held.artifacts if one.kind == "pull_request")
            database.execute(f"DROP TABLE artifacts.{gone.table}")
            found, hits = answerer.search("dark mode", Scope(), 10)
            assert (found.release_id, len(hits)) == (newest, 10)
            assert answerer.ask("What is known about dark mode?").release == newest


def test_a_model_that_is_not_there_keeps_the_old_release(
    settings: Settings, database: Database, tools: Database
) -> None:
    """Active, but its server is down: the service says so and serves the old release; it switches when the server is
    back."""
    with LLMServer(models=("first",)) as first, LLMServer(models=("second",), dimensions=24) as second:
        settings = own(settings, first)
        add_items(database, days=4)
        create_model(database, Embedders(settings), "second", second.url)
        embed(database, settings, days=4)
        build(database, "first")
        build(database, "second")
        old = release(database, tools, "first").release_id
        with open_answerer(settings) as answerer:
            watcher = ReleaseWatcher(settings, answerer)
            watcher.refresh(tools)
            new = activate_model(settings, database, tools, "second").release_id
            second.misbehave("400")
            watcher.refresh(tools)
            assert answerer.pinned is not None
            assert answerer.pinned.release_id == old
            assert watcher.held_back is not None
            assert f"Release {new} is active" in watcher.held_back
            assert second.url in watcher.held_back
            found, hits = answerer.search("dark mode", Scope(), 10)
            assert (found.release_id, len(hits)) == (old, 10)
            second.behave()
            watcher.refresh(tools)
            assert answerer.pinned.release_id == new
            assert watcher.held_back is None


def test_an_unreachable_model_is_not_activated(settings: Settings, database: Database, tools: Database) -> None:
    """Nobody could ask its release anything: the switch is refused before a release is made."""
    with LLMServer(models=("first",)) as first, LLMServer(models=("second",), dimensions=24) as second:
        settings = own(settings, first)
        add_items(database, days=2)
        create_model(database, Embedders(settings), "second", second.url)
        embed(database, settings, days=2)
        build(database, "first")
        build(database, "second")
        old = release(database, tools, "first").release_id
        second.misbehave("400")
        with pytest.raises(EmbedderError, match=second.url):
            activate_model(settings, database, tools, "second")
        assert database.fetch_value("SELECT release_id FROM active_release") == old
        assert database.fetch_value("SELECT count(*) FROM search_releases") == 1
        assert serving(database) == ["first"]


def test_an_emptier_space_is_not_activated_unless_wanted(
    settings: Settings, database: Database, tools: Database
) -> None:
    """The numbers are said; --anyway switches; a release of it is one that can be gone back from."""
    with LLMServer(models=("first", "second")) as server:
        settings = own(settings, server)
        add_items(database, days=4)
        embed(database, settings, days=4)
        build(database, "first")
        old = release(database, tools, "first").release_id
        create_model(database, Embedders(settings), "second", server.url)
        embed(database, settings, days=3)
        build(database, "second")
        with pytest.raises(
            SpaceRefused, match=r"pull_request: 3 days and 15 indexed items, the serving model has 4 and 20.*--anyway"
        ):
            activate_model(settings, database, tools, "second")
        assert database.fetch_value("SELECT release_id FROM active_release") == old
        result = activate_model(settings, database, tools, "second", anyway=True)
        assert result.outcome == "activated"
        assert serving(database) == ["second"]


def test_a_refused_release_changes_nothing(settings: Settings, database: Database, tools: Database) -> None:
    """A candidate that does not pass is not served, and the model does not become the serving one."""
    with two_models(settings, database) as (settings, _):
        old = release(database, tools, "first").release_id
        result = activate_model(settings.model_copy(update={"recall_floor": 1.01}), database, tools, "second")
        assert result.outcome == "refused"
        assert "recall@10" in result.reason
        assert database.fetch_value("SELECT release_id FROM active_release") == old
        assert serving(database) == ["first"]


def test_going_back_to_a_release_goes_back_to_its_model(
    settings: Settings, database: Database, tools: Database
) -> None:
    """`release activate N` makes N's model serve and pauses; `release resume` goes to the newest release of that model,
    not to one of the model that was left; and the switch works while paused."""
    with two_models(settings, database) as (settings, _):
        one = release(database, tools, "first").release_id
        two = activate_model(settings, database, tools, "second").release_id
        activate_release(database, one)
        assert serving(database) == ["first"]
        assert resume(database) == one
        activate_release(database, one)
        again = activate_model(settings, database, tools, "second")
        assert (again.outcome, again.release_id) == ("activated", two)
        assert serving(database) == ["second"]
        late = release(database, tools, "first")
        assert late.outcome == "published"
        assert serving(database) == ["second"]


def test_a_release_in_work_does_not_undo_a_switch(settings: Settings, database: Database, tools: Database) -> None:
    """A release of the model that was left, measured while the switch came, is published and not activated."""
    with two_models(settings, database) as (settings, _):
        release(database, tools, "first")
        two = activate_model(settings, database, tools, "second").release_id
        database.execute("UPDATE pull_requests SET state = 'closed'")
        build(database, "first")
        late = release(database, tools, "first")
        assert late.outcome == "published"
        assert "starsearch spaces activate first" in late.reason
        assert database.fetch_value("SELECT release_id FROM active_release") == two


def test_a_release_whose_model_is_unknown_says_what_to_do(
    settings: Settings, database: Database, tools: Database
) -> None:
    """Not registered, or of other dimensions by now: a clear error, also from the service's own role."""
    with LLMServer(models=("first",)) as server:
        settings = own(settings, server)
        add_items(database, days=2)
        embed(database, settings, days=2)
        build(database, "first")
        release(database, tools, "first")
    with LLMServer(models=("first", "other"), dimensions=17) as server:
        with (
            open_answerer(own(settings, server)) as answerer,
            pytest.raises(ModelMismatch, match=r"16 dimensions by first, which now gives 17"),
        ):
            answerer.search("dark mode", Scope(), 10)
        database.execute("DELETE FROM embedding_models")
        with (
            open_answerer(own(settings, server, "other")) as answerer,
            pytest.raises(ModelMismatch, match=r"first, which is not registered here: `starsearch spaces create`"),
        ):
            answerer.search("dark mode", Scope(), 10)
