"""How many requests a day's reconciliation takes, and how long the limits make it take."""

from __future__ import annotations

import math
from dataclasses import dataclass

from resources.github_limits import REQUESTS_A_MINUTE
from resources.github_updates import REPOSITORIES_A_QUERY

HOURLY_POINTS = 5000
"""What GitHub gives a personal token; an app's installation has more."""
_BUSY_SHARE = 0.05  # repositories whose first page does not hold the day, where nothing better is known


@dataclass(frozen=True)
class Plan:
    """The requests of one day. hours: with this budget, its reserve left alone."""

    repositories: int
    queries: int
    points: int
    usable_points_an_hour: int

    @property
    def hours(self) -> float:
        """Hours of the budget that the day takes."""
        return self.points / self.usable_points_an_hour

    @property
    def minutes_at_least(self) -> float:
        """What the limit on queries a minute makes of it."""
        return self.queries / REQUESTS_A_MINUTE["graphql"]

    def as_markdown(self) -> str:
        """For the asset's metadata."""
        rows = {
            "tracked repositories": f"{self.repositories:,}",
            "queries": f"{self.queries:,} ({REPOSITORIES_A_QUERY} repositories each, and pages of busy ones)",
            "points": f"{self.points:,} of {self.usable_points_an_hour:,} an hour ({self.hours:.0%})",
        }
        return "| | |\n|---|---|\n" + "".join(f"| {name} | {text} |\n" for name, text in rows.items())


def plan_day(repositories: int, reserve: float, hourly_points: int = HOURLY_POINTS, *, pages: int = 0) -> Plan:
    """The plan for one day of so many tracked repositories. pages: what is known of busy ones, each a query more."""
    more = max(math.ceil(_BUSY_SHARE * repositories), pages)
    queries = math.ceil(repositories / REPOSITORIES_A_QUERY) + more
    return Plan(repositories, queries, queries, int(hourly_points * (1 - reserve)))
