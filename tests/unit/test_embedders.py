"""Where a registered model is, which key it is given, and that nothing secret is stored or said."""

from __future__ import annotations

from pathlib import Path

import pytest

from resources.embedder import OpenAIEmbedder, SentenceTransformerEmbedder
from resources.embedders import Embedders, EmbeddingModel, without_secrets
from resources.errors import EmbedderError
from resources.settings import Settings
from tests.doubles.llm_server import LLMServer


def settings(**values: object) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[call-arg,arg-type]


def remote(url: str, variable: str | None = None, model: str = "other") -> EmbeddingModel:
    return EmbeddingModel(model, model, url, variable, 16)


def test_the_settings_say_where_their_own_model_is() -> None:
    """Its row may be of another time: the settings' URL is asked. What is in this process is loaded once."""
    own = Embedders(settings(embedding_model="mine", embedding_base_url="http://127.0.0.1:9/v1"))
    assert own.of(remote("http://elsewhere/v1", model="mine")) is own.own
    assert isinstance(own.own, OpenAIEmbedder)
    bundled = Embedders(settings())
    assert isinstance(bundled.own, SentenceTransformerEmbedder)
    assert bundled.own is Embedders(settings()).of(EmbeddingModel("all-MiniLM-L6-v2", "x", None, None, 384))


def test_a_row_keeps_no_secret() -> None:
    """User, password and query of the URL stay in the settings; of the key only its variable's name is kept."""
    row = Embedders(
        settings(
            embedding_model="mine",
            embedding_base_url="https://me:hush@host:8443/v1/?token=hush",
            embedding_api_key="hush",
        )
    ).own_row(16)
    assert row == EmbeddingModel("mine", "mine", "https://host:8443/v1", "EMBEDDING_API_KEY", 16)
    assert without_secrets("http://host/v1") == "http://host/v1"


def test_a_folder_is_kept_whole(tmp_path: Path) -> None:
    """Its identity is its last part; what loads it is its absolute path."""
    row = Embedders(settings(embedding_model=f"{tmp_path}/e5-small/")).own_row(384)
    assert (row.model, row.source, row.where) == ("e5-small", f"{tmp_path}/e5-small", "in process")


def test_the_key_comes_from_the_variable_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server gets that key and no other; without it the error names the model and not the key."""
    with LLMServer(models=("other",), api_keys=("sesame",)) as server:
        embedders = Embedders(settings(embedding_api_key="mine"))
        row = remote(server.url, "OTHER_KEY")
        with pytest.raises(EmbedderError, match=r"'other'.*wants a key.*is not set"):
            embedders.of(row)
        monkeypatch.setenv("OTHER_KEY", "sesame")
        assert embedders.of(row).dimensions == 16
        assert {request.authorization for request in server.requests} == {"Bearer sesame"}
        server.requests.clear()
        with pytest.raises(EmbedderError, match="401"):
            embedders.of(remote(server.url)).encode(["x"])
        assert "Bearer mine" not in {request.authorization for request in server.requests}


def test_the_settings_key_goes_to_the_settings_server_alone() -> None:
    """Changed to another server, EMBEDDING_API_KEY is not sent to the old one; the error says what to do."""
    moved = Embedders(
        settings(embedding_model="new", embedding_base_url="http://new/v1", embedding_api_key="key of the new one")
    )
    old = remote("http://old/v1", "EMBEDDING_API_KEY", "old")
    with pytest.raises(EmbedderError, match=r"spaces create old --base-url http://old/v1 --api-key-variable NAME") as e:
        moved.of(old)
    assert "key of the new one" not in str(e.value)
    same = Embedders(
        settings(embedding_model="new", embedding_base_url="http://old/v1/", embedding_api_key="of both models")
    )
    assert isinstance(same.of(old), OpenAIEmbedder)


def test_a_folder_that_is_gone_is_named() -> None:
    """With the commands that say where the model is now."""
    with pytest.raises(EmbedderError, match=r"'e5' is registered at '/gone/e5', where there is no folder.*--base-url"):
        Embedders(settings()).of(EmbeddingModel("e5", "/gone/e5", None, None, 384))
