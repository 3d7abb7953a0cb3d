"""The bundled sample: three invented days of GitHub events in GH Archive's format.

`write_sample` writes 72 hour files of 2025-10-06 to 2025-10-08 and returns `SampleTruth`, what a test
can know about them; `write_histories` writes bare git repositories, made of the merged pull requests. All
content is invented; two names are not, `brandonroberts` and `remix-run/react-router`, so that the
well-known demonstration questions can be asked word for word.
"""

from starsearch_assets.sample.files import write_sample
from starsearch_assets.sample.history import Commit, History, write_histories
from starsearch_assets.sample.truth import (
    BrokenLine,
    Evidence,
    ItemRef,
    Lottery,
    Ref,
    Rename,
    Retitled,
    SampleTruth,
)

__all__ = [
    "BrokenLine",
    "Commit",
    "Evidence",
    "History",
    "ItemRef",
    "Lottery",
    "Ref",
    "Rename",
    "Retitled",
    "SampleTruth",
    "write_histories",
    "write_sample",
]
