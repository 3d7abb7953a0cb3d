"""The manager: chooses specialists for a question, which choose tools; tools run in parallel and give the evidence.

No text from GitHub is ever shown to an agent that can call a tool: the evidence goes to the composer, which cannot.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from itertools import count
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from answering.agents.budget import Budget, BudgetSpent
from answering.agents.specialists import ON_THE_WEB, SPECIALISTS, Specialist
from answering.agents.tools import Refused, Tool, Toolbox
from answering.compose import in_thread
from answering.deltas import Delta, Listener
from answering.evidence import Evidence
from answering.question import Question
from resources.errors import LLMError
from resources.llm_chat import Chat, FunctionCall, Turn

logger = logging.getLogger(__name__)

PROMPT_VERSION = "2"
PARALLEL = 4
_MAX_TOKENS = 500
_CALLS_EACH = 4

_MANAGER = """\
You plan how a question about the history of GitHub repositories is answered. Call the specialists that can find what
is needed, each with a task in one sentence that names the repositories, people, technologies and days of the question.
Call several at once where several can help. Do not answer the question yourself.
"""
_SPECIALIST = """\
You look things up about {knows}. Call the functions that find what the task asks for, several at once where that helps.
Use names of repositories and people exactly as the task has them, and leave out what it does not say. Do not answer
in text.
"""


class Task(BaseModel):
    """What the manager tells a specialist."""

    model_config = ConfigDict(extra="forbid")
    task: str = Field(min_length=1, max_length=1000, description="what to find, in one sentence")


@dataclass(frozen=True)
class Manager:
    """Finds evidence for one question with an LLM that calls functions.

    Three calls of it in series at most: its own, the specialists' side by side, and one more for those whose arguments
    could not be used.
    """

    chat: Chat
    toolbox: Toolbox
    budget: Budget
    listener: Listener

    @property
    def _specialists(self) -> tuple[Specialist, ...]:
        return SPECIALISTS if self.toolbox.web is None else (*SPECIALISTS, ON_THE_WEB)

    def gather(self, question: Question, today: date) -> Evidence:
        """What the specialists found; empty where none was called or nothing was found.

        Raises:
            LLMError: the server is away, or refuses.
            BudgetSpent: before anything was found.
        """
        self.listener.status("planning", "Choosing where to look.")
        scope = self.toolbox.scope
        told = (
            f"{in_thread(question)}Question: {question.text}\nToday: {today}\n"
            f"Repositories in scope: {', '.join(scope.repos) or 'all'}\n"
            f"Days in scope: {scope.since or 'the first'} to {scope.until or 'the newest'}"
        )
        functions = [_as_function(one) for one in self._specialists]
        turn = self._turn([{"role": "system", "content": _MANAGER}, {"role": "user", "content": told}], functions)
        tasks = list(dict.fromkeys(self._tasks(turn, question)))
        numbers = count(1)
        evidence = Evidence()
        with ThreadPoolExecutor(PARALLEL) as workers:
            for found in workers.map(lambda one: self._ask(one[0], one[1], numbers), tasks):
                evidence.absorb(found)
        self.listener.check()
        return evidence

    def _tasks(self, turn: Turn, question: Question) -> list[tuple[Specialist, str]]:
        """Which specialists are asked for what; one whose task cannot be read gets the question itself."""
        known = {one.name: one for one in self._specialists}
        tasks = []
        for call in turn.calls[: 2 * len(known)]:
            if call.name not in known:
                logger.info("the manager called a specialist that does not exist", extra={"called": call.name[:100]})
                continue
            try:
                task = Task.model_validate_json(call.arguments or "{}").task
            except ValidationError:
                task = question.text
            tasks.append((known[call.name], task))
        return tasks

    def _ask(self, specialist: Specialist, task: str, numbers: Iterator[int]) -> Evidence:
        """What one specialist finds; nothing where its LLM fails: others may have found something."""
        evidence = Evidence()
        messages: list[Mapping[str, Any]] = [
            {"role": "system", "content": _SPECIALIST.format(knows=specialist.knows)},
            {"role": "user", "content": task},
        ]
        functions = [tool.as_function() for tool in specialist.tools]
        try:
            turn = self._turn(messages, functions)
            refused = self._run(specialist, turn.calls[:_CALLS_EACH], evidence, numbers)
            if refused and not evidence.facts:
                called = [call.as_message() for call in turn.calls[:_CALLS_EACH]]
                messages.append({"role": "assistant", "content": turn.text or None, "tool_calls": called})
                messages += [
                    {"role": "tool", "tool_call_id": call.call_id, "content": refused.get(call.call_id, "Done.")}
                    for call in turn.calls[:_CALLS_EACH]
                ]
                again = self._turn(messages, functions)
                self._run(specialist, again.calls[:_CALLS_EACH], evidence, numbers)
        except (LLMError, BudgetSpent) as error:
            logger.warning("a specialist gave up", extra={"specialist": specialist.name, "reason": str(error)})
            evidence.why_not = evidence.why_not or "The LLM failed while it was looking."
        return evidence

    def _run(
        self, specialist: Specialist, calls: Sequence[FunctionCall], evidence: Evidence, numbers: Iterator[int]
    ) -> dict[str, str]:
        """Run the calls side by side; returns why some could not be used, by the call's id."""
        tools = {tool.name: tool for tool in specialist.tools}
        with ThreadPoolExecutor(PARALLEL) as workers:
            results = list(workers.map(lambda call: self._call(tools, call, next(numbers)), calls))
        refused = {}
        for call, result in zip(calls, results, strict=True):
            if isinstance(result, Evidence):
                evidence.absorb(result)
            else:
                refused[call.call_id] = result
        return refused

    def _call(self, tools: Mapping[str, Tool], call: FunctionCall, number: int) -> Evidence | str:
        """What one call found, or why it could not be made."""
        self.listener(Delta("tool_call", {"id": number, "tool": call.name[:100], "arguments": call.arguments[:1000]}))
        tool = tools.get(call.name)
        found: Evidence | str
        if tool is None:
            found = f"There is no function {call.name[:100]!r}: call one of {', '.join(tools)}."
        elif not self.budget.tool():
            found = "No more functions can be called for this question."
        else:
            try:
                found = tool.call(self.toolbox, call.arguments)
            except Refused as refused:
                found = str(refused)
        told = found if isinstance(found, str) else found.why_not if not found.facts else ""
        number_found = 0 if isinstance(found, str) else len(found.citations)
        self.listener(Delta("tool_result", {"id": number, "found": number_found, "text": told}))
        return found

    def _turn(self, messages: Sequence[Mapping[str, Any]], functions: Sequence[Mapping[str, Any]]) -> Turn:
        self.listener.check()
        seconds = self.budget.step()
        turn = self.chat.turn(messages, functions, max_tokens=_MAX_TOKENS, timeout=seconds)
        self.budget.spend(turn.usage)
        return turn


def _as_function(specialist: Specialist) -> dict[str, Any]:
    return {"type": "function", "function": {
        "name": specialist.name, "description": f"A specialist for {specialist.knows}.",
        "parameters": Task.model_json_schema(),
    }}  # fmt: skip
