"""An Answerer with everything that it needs, opened from settings and closed again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from answering.ask import Answerer
from answering.making import Limits
from answering.retrieval import Ranking
from resources.embedders import Embedders
from resources.llm import create_answer_llm
from resources.postgres import Role, open_database
from resources.prices import Prices
from resources.reranker import create_reranker
from resources.settings import Settings
from resources.web_search import create_web_search


@contextmanager
def open_answerer(settings: Settings, *, llm: bool = True) -> Iterator[Answerer]:
    """Answer on the tools role, store answers on the service role.

    llm: use the answer model where one is configured; False: compose by rule in any case.
    """
    with ExitStack() as stack:
        tools = stack.enter_context(open_database(settings, Role.TOOLS))
        service = stack.enter_context(open_database(settings, Role.SERVICE, max_size=2))
        model = create_answer_llm(settings) if llm else None
        if model is not None:
            stack.callback(model.close)
        web = create_web_search(settings) if llm else None
        if web is not None:
            stack.callback(web.close)
        embedders = Embedders(settings)
        yield Answerer(
            tools, service, embedders.own, settings.relevance_threshold, model,
            embedders=embedders, ranking=Ranking.of(settings), reranker=create_reranker(settings),
            limits=Limits(settings.answer_seconds, settings.answer_tokens), cached=settings.answer_cache, web=web,
            prices=Prices.of(settings),
        )  # fmt: skip
