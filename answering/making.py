"""One answer in the making: evidence by agents or by rules, then sentences by the LLM or by rules."""

from __future__ import annotations

import logging
import math
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field

from answering import compose
from answering.agents import manager
from answering.agents.budget import Allowance, Budget, BudgetSpent
from answering.agents.manager import Manager
from answering.agents.tools import Toolbox
from answering.deltas import Delta, Listener
from answering.evidence import Evidence
from answering.gather import Gatherer
from answering.question import Question
from answering.retrieval import Scope
from resources.errors import LLMError
from resources.llm_chat import Chat
from resources.web_search import WebSearch

logger = logging.getLogger(__name__)

PROMPT_VERSIONS = (manager.PROMPT_VERSION, compose.PROMPT_VERSION)
_PROBE_SECONDS = 10.0
_PROBE_AGAIN = 600.0


@dataclass(frozen=True)
class Limits:
    """Of one answer. seconds: of all calls of the LLM; tokens: that it reads and writes."""

    seconds: float = 60.0
    tokens: int = 60_000


class CallsFunctions:
    """Whether the answer model calls functions: asked once, and every ten minutes where it does not."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known, self._asked = False, -math.inf

    def __call__(self, chat: Chat) -> bool:
        """Raises LLMError where the server is away: then it is asked again for the next answer."""
        with self._lock:
            if not self._known and time.monotonic() - self._asked > _PROBE_AGAIN:
                self._known, self._asked = chat.calls_functions(timeout=_PROBE_SECONDS), time.monotonic()
                if not self._known:
                    logger.warning("the answer model calls no functions: rules plan, and it only writes")
            return self._known


@dataclass
class Making:
    """chat: the LLM, None without one. web: None where it is not searched. unplanned: the agents failed, rules planned;
    dropped: sentences that nothing backed."""

    chat: Chat | None
    calls_functions: CallsFunctions
    limits: Limits
    listener: Listener
    web: WebSearch | None = None
    unplanned: bool = False
    dropped: int = 0
    allowance: Allowance = field(default_factory=Allowance)
    budget: Budget = field(init=False)

    def __post_init__(self) -> None:
        self.budget = Budget(self.limits.seconds, self.limits.tokens, allowance=self.allowance)

    def gather(self, gatherer: Gatherer, question: Question, scope: Scope) -> Evidence:
        """Evidence by the agents; by rules where there are none, where they fail, and where they find nothing.

        Raises:
            ScopeError: a repository that is not tracked.
        """
        if self.chat is not None and not self.unplanned:
            try:
                if self.calls_functions(self.chat):
                    toolbox = Toolbox(gatherer, scope, question.text, self.web)
                    evidence = Manager(self.chat, toolbox, self.budget, self.listener).gather(
                        question, gatherer.release.today
                    )
                    if evidence.facts:
                        return evidence
            except (LLMError, BudgetSpent) as error:
                self.unplanned = True
                logger.warning("the agents failed, rules plan the answer", extra={"reason": str(error)})
        self.listener.status("searching", "Looking in what was read.")
        if question.taken:
            self.listener.status("assumed", f"Taken from the question before: {', '.join(question.taken)}.")
        return gatherer.gather(question, scope)

    def write(self, question: Question, evidence: Evidence) -> tuple[str, str]:
        """The answer's text, told sentence by sentence, and its mode."""
        self.listener.status("writing", "Writing the answer.")
        if self.chat is None:
            return self._by_rule(evidence, []), "extractive"
        sentences: list[str] = []
        try:
            with closing(compose.stream_with_llm(self.chat, question, evidence, self.budget)) as written:
                for sentence in written:
                    self._send(sentence, sentences)
        except (LLMError, BudgetSpent) as error:
            logger.warning("the LLM failed, the answer is finished by rule", extra={"reason": str(error)})
        else:
            if sentences:
                return " ".join(sentences), "llm"
            logger.warning("no sentence of the LLM was backed", extra={"dropped": self.dropped})
        return self._by_rule(evidence, sentences), "degraded"

    def _send(self, sentence: str | None, sent: list[str]) -> None:
        """Tell a sentence behind those that were sent; None: one that nothing backed."""
        self.listener.check()
        if sentence is None:
            self.dropped += 1
        else:
            self.listener(Delta("delta", {"text": f" {sentence}" if sent else sentence}))
            sent.append(sentence)

    def _by_rule(self, evidence: Evidence, sentences: list[str]) -> str:
        """The evidence's own sentences after those that were told already."""
        text = " ".join(sentences)
        for fact in compose.by_rule(evidence, sentences):
            told = f"\n{fact}" if text else fact
            self.listener(Delta("delta", {"text": told}))
            text += told
        return text
