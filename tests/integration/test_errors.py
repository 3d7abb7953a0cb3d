"""What a user sees when something is wrong: one clear line with what to do, and nothing half-written."""

from __future__ import annotations

import shutil

import pytest

from tests.doubles.llm_server import LLMServer
from tests.integration.commands import as_json, starsearch


def test_a_wrong_database_url(tmp_path):
    """The host that does not answer is named without the password, and nothing is created."""
    home = tmp_path / "home"
    result = starsearch(home, "demo", check=False, DATABASE_URL="postgresql://me:hush@127.0.0.1:1/x")
    assert result.returncode == 1
    assert "127.0.0.1:1" in result.stderr
    assert "DATABASE_URL" in result.stderr
    assert "hush" not in result.stderr
    assert "Traceback" not in result.stderr
    assert not (home / "postgres").exists()


def test_a_missing_data_folder(tmp_path):
    """--data names a folder that is not there."""
    result = starsearch(tmp_path / "home", "demo", "--data", "/no/such/folder", check=False)
    assert result.returncode == 1
    assert "There is no folder /no/such/folder" in result.stderr
    assert not (tmp_path / "home" / "postgres").exists()


def test_a_data_folder_without_hour_files(tmp_path):
    """--data names a folder with something else in it."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "readme.txt").write_text("no events")
    result = starsearch(tmp_path / "home", "demo", "--data", str(tmp_path / "data"), check=False)
    assert result.returncode == 1
    assert "2025-10-06-0.json.gz" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("backfill", "--from", "yesterday", "--to", "2025-10-06"), "expected a day like 2025-10-06"),
        (("backfill", "--from", "2025-10-07", "--to", "2025-10-06"), "lies before"),
        (("search", "x", "--since", "soon"), "expected a day"),
        (("repos", "add"), "owner/name"),
        (("release", "activate", "99"), "does not exist"),
        (("ask", "   "), "The question is empty"),
        (("search", "x", "--kind", "poem"), "Unknown kind"),
    ],
)
def test_wrong_arguments(demo, arguments, message):
    """Each says what was expected."""
    result = starsearch(demo.home, *arguments, check=False)
    assert result.returncode != 0
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unreachable_llm_degrades_answers_and_says_so(demo):
    """With a dead LLM an answer is still given, composed by rule and marked; doctor names the server."""
    llm = {"LLM_BASE_URL": "http://127.0.0.1:1/v1", "ANSWER_MODEL": "some-model"}
    answer = as_json(demo.home, "ask", "Who knows TypeScript?", **llm)
    assert answer["mode"] == "degraded"
    assert answer["citations"]
    doctor = starsearch(demo.home, "doctor", check=False, **llm)
    assert doctor.returncode == 1
    assert "http://127.0.0.1:1/v1" in doctor.stdout


def test_an_llm_writes_answers_that_are_checked(demo):
    """With an OpenAI-compatible server the answer is the LLM's, and every citation is one of ours."""
    with LLMServer(models=("some-model",)) as server:
        answer = as_json(demo.home, "ask", "Who knows TypeScript?", LLM_BASE_URL=server.url, ANSWER_MODEL="some-model")
    assert answer["mode"] == "llm"
    assert answer["citations"]


def test_an_unreachable_llm_fails_summaries_without_falling_back(demo, tmp_path):
    """The run fails with the reason; what is served goes on being served, and nothing is written."""
    before = as_json(demo.home, "status")
    result = starsearch(
        demo.home,
        *("backfill", "--from", "2025-10-06", "--to", "2025-10-06"),
        check=False,
        LLM_BASE_URL="http://127.0.0.1:1/v1",
        SUMMARY_MODEL="some-model",
    )
    assert result.returncode == 1
    assert "http://127.0.0.1:1/v1 did not answer" in result.stderr
    assert as_json(demo.home, "status") == before


def test_a_model_of_other_dimensions_is_refused(demo):
    """An embeddings server under the space's model name but with other dimensions: refused, nothing written."""
    before = as_json(demo.home, "status")
    with LLMServer(models=("all-MiniLM-L6-v2",), dimensions=8) as server:
        settings = {"EMBEDDING_BASE_URL": server.url, "EMBEDDING_MODEL": "all-MiniLM-L6-v2"}
        result = starsearch(
            demo.home, "backfill", "--from", "2025-10-06", "--to", "2025-10-06", check=False, **settings
        )
        asked = starsearch(demo.home, "ask", "Who knows TypeScript?", check=False, **settings)
    assert result.returncode == 1
    assert "384 dimensions" in result.stderr
    assert asked.returncode == 1
    assert "EMBEDDING_MODEL" in asked.stderr
    assert as_json(demo.home, "status") == before


def test_a_damaged_file_fails_its_hour_and_no_other(tmp_path, real_data):
    """`demo --data` with a damaged file: the others end in cited answers, the bad one is named, the exit code is 1;
    later the whole file completes it."""
    data = tmp_path / "data"
    data.mkdir()
    for hour in (3, 4):
        shutil.copy(real_data / "gharchive" / "2015" / f"2015-01-01-{hour}.json.gz", data)
    whole = (data / "2015-01-01-4.json.gz").read_bytes()
    (data / "2015-01-01-4.json.gz").write_bytes(whole[: len(whole) // 2])
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    try:
        result = starsearch(home, "demo", "--data", str(data), "--max-items", "60", check=False)
        assert result.returncode == 1
        assert "2015-01-01-4.json.gz" in result.stderr
        assert "https://github.com/" in result.stdout
        assert as_json(home, "status")["events"] == 5971
        (data / "2015-01-01-4.json.gz").write_bytes(whole)
        starsearch(home, "demo", "--data", str(data), "--max-items", "60")
        assert as_json(home, "status")["events"] == 5971 + 5869
    finally:
        starsearch(home, "down")
