"""Batches of what is too much at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def batched(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Batches of at most `size`, in order: what itertools has from Python 3.12 on."""
    source = iter(items)
    while batch := tuple(islice(source, size)):
        yield batch
