"""What an error of the openai client means, in words for who has to do something about it."""

from __future__ import annotations

from resources.errors import LLMContextExceeded, LLMError, LLMReplyInvalid, LLMUnavailable
from resources.long_texts import says_too_long
from resources.postgres import redacted

_REFUSED = frozenset((400, 413, 422))
"""Statuses that say that this one prompt is not wanted: the next one may be."""


class Explainer:
    """Explains the errors of one server's client; never shows its key."""

    def __init__(self, base_url: str, model: str, api_key: str | None) -> None:
        self.where = f"The LLM server at {redacted(base_url)}"
        self._model, self._api_key = model, api_key

    def explained(self, error: BaseException) -> LLMError:
        """The error of ours that says the same."""
        import openai

        reason = self.reason(error)
        if isinstance(error, openai.NotFoundError):
            return LLMUnavailable(
                f"{self.where} has no model {self._model!r}, or no chat completions (404): `starsearch doctor` lists"
                " the models that it has; set SUMMARY_MODEL or ANSWER_MODEL to one of them, and check that"
                " LLM_BASE_URL ends as the server wants it, usually in /v1."
            )
        if isinstance(error, (openai.AuthenticationError, openai.PermissionDeniedError)):
            return LLMUnavailable(f"{self.where} refused the key ({error.status_code}): check LLM_API_KEY.")
        if isinstance(error, openai.APIStatusError) and error.status_code in _REFUSED:
            refusal = LLMContextExceeded if says_too_long(error.status_code, f"{error}") else LLMReplyInvalid
            refused = refusal(f"{self.where} refused the request ({error.status_code}): {reason}")
            refused.refused = True
            return refused
        if isinstance(error, (openai.APIResponseValidationError, ValueError)):
            return LLMReplyInvalid(f"{self.where} replied with something that is no chat completion: {reason}")
        return LLMUnavailable(
            f"{self.where} did not answer: {error.__class__.__name__}: {reason}. Start it or check LLM_BASE_URL;"
            " unset LLM_BASE_URL to use extractive mode."
        )

    def reason(self, error: BaseException) -> str:
        """What went wrong in the server's or the network's words, without the key."""
        text = " ".join(part for part in (str(error), str(error.__cause__ or "")) if part) or type(error).__name__
        return (text.replace(self._api_key, "***") if self._api_key else text)[:300]

    def showable(self, error: BaseException) -> BaseException | None:
        """The error as a cause that tracebacks show; None where it repeats the key."""
        return None if self._api_key and self._api_key in f"{error}{error.__cause__}" else error
