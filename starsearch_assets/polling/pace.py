"""An allowance that refills evenly: what keeps the requests of any hour within its budget."""

from __future__ import annotations


class Pace:
    """At most `an_hour` in any hour, of which `at_once` may come together. A clock in seconds is given to each call."""

    def __init__(self, an_hour: float, at_once: float) -> None:
        self._at_once = at_once
        self._left = at_once
        self._at = 0.0
        self._a_second = 0.0
        self.set(an_hour)

    def set(self, an_hour: float) -> None:
        """Change the allowance."""
        self._a_second = max(an_hour - self._at_once, an_hour / 2) / 3600

    def spend(self, amount: float, now: float) -> None:
        """Use some, also more than is there; a negative amount gives back what was not needed."""
        self._refill(now)
        self._left = min(self._left - amount, self._at_once)

    def wait(self, now: float) -> float:
        """Seconds until something is there."""
        self._refill(now)
        return 0.0 if self._left > 0 else (1e-3 - self._left) / self._a_second

    def _refill(self, now: float) -> None:
        if now > self._at:
            self._left = min(self._left + (now - self._at) * self._a_second, self._at_once)
            self._at = now
