"""Advisory locks of PostgreSQL are numbers: two modules with the same one would wait for each other."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_lock_has_a_number_of_its_own():
    """A run of summaries must not hold up the activation of a release."""
    files = [
        path for folder in ("resources", "answering", "starsearch_assets") for path in (ROOT / folder).rglob("*.py")
    ]
    numbers = Counter(number for path in files for number in re.findall(r"LOCK = (0x[0-9A-F]+)", path.read_text()))
    assert len(numbers) >= 7
    assert [number for number, times in numbers.items() if times > 1] == []
