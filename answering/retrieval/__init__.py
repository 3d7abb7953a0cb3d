"""Search over one release: by vectors and by words, filters enforced in SQL, one hit an item.

The same function serves the service, the commands, the checks and the measurement of recall and relevance.
"""

from answering.retrieval.hits import GITHUB, WORD_RULE, Hit, WordRule, counts_as_answer, shown_ref
from answering.retrieval.listing import counted_items, named_items, newest_items, tagged_items
from answering.retrieval.scope import Scope, repository_id, repository_ids, repository_page, tracked_ids
from answering.retrieval.search import MODES, Mode, Query, Ranking, nearest_keys, read_hits, search, search_each

__all__ = [
    "GITHUB",
    "MODES",
    "WORD_RULE",
    "Hit",
    "Mode",
    "Query",
    "Ranking",
    "Scope",
    "WordRule",
    "counted_items",
    "counts_as_answer",
    "named_items",
    "nearest_keys",
    "newest_items",
    "read_hits",
    "repository_id",
    "repository_ids",
    "repository_page",
    "search",
    "search_each",
    "shown_ref",
    "tagged_items",
    "tracked_ids",
]
