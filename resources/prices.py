"""What tokens of an LLM cost."""

from __future__ import annotations

from dataclasses import dataclass

from resources.settings import Settings

_MILLION = 1_000_000


@dataclass(frozen=True)
class Prices:
    """US dollars a million tokens cost, in and out; None: not told, and nothing is estimated."""

    tokens_in: float | None = None
    tokens_out: float | None = None

    @classmethod
    def of(cls, settings: Settings) -> Prices:
        """Those of LLM_PRICE_IN and LLM_PRICE_OUT."""
        return cls(settings.llm_price_in, settings.llm_price_out)

    @classmethod
    def hosted(cls, settings: Settings) -> Prices:
        """Those of HOSTED_PRICE_IN and HOSTED_PRICE_OUT."""
        return cls(settings.hosted_price_in, settings.hosted_price_out)

    def cost(self, tokens_in: float, tokens_out: float) -> float | None:
        """US dollars that these tokens cost; None where a price is not told."""
        if self.tokens_in is None or self.tokens_out is None:
            return None
        return (tokens_in * self.tokens_in + tokens_out * self.tokens_out) / _MILLION


NOT_TOLD = Prices()
