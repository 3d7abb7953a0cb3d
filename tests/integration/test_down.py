"""`starsearch up` that was killed, and `starsearch down` after it. Nothing else may run in the same home."""

from __future__ import annotations

import psutil

from tests.doubles.github import Repository
from tests.integration.commands import free_port, starsearch
from tests.integration.processes import until
from tests.integration.running import Running


def test_down_stops_what_a_killed_up_left(demo, double):
    """SIGKILL of `up` orphans its children; `starsearch down` finds and stops them, and nothing else.

    With a token, `starsearch poll` is one of them; when it ends because the token is refused, the others go on.
    """
    running = Running(demo, GITHUB_TOKEN=double.token, GITHUB_API_URL=double.url)
    running.wait_until_ready()
    log = demo.home / "logs" / "poll.log"
    until(lambda: "lease taken" in log.read_text())
    double.state.add(Repository(id=1001, owner="acme", name="rocket"))
    double.token = "revoked"
    starsearch(demo.home, "repos", "add", "acme/rocket")
    assert running.process.poll() is None
    children = psutil.Process(running.process.pid).children(recursive=True)
    second = starsearch(demo.home, "up", "--port", str(free_port()), "--service-port", str(free_port()), check=False)
    assert second.returncode == 1
    assert "already runs" in second.stderr
    running.process.kill()
    running.process.wait()
    assert any(child.is_running() for child in children)
    output = starsearch(demo.home, "down").stdout
    assert "dagster-webserver" in output
    assert "PostgreSQL" in output
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []
    assert starsearch(demo.home, "down").stdout.strip() == "Nothing was running."
