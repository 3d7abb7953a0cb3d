"""How long a reply takes: prefill, then one token after the other."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Latency:
    """seconds = fixed + prompt tokens / prefill_rate + output tokens / token_rate; a rate of 0 takes no time.

    output_tokens: how many tokens a reply has on average; 0: as many as its text has. spread: sigma of the log-normal
    factor, of mean 1, by which output tokens differ from prompt to prompt (0.5: most between 0.4 and 1.9 of the mean);
    seed and prompt alone decide it, so that a run can be repeated.
    """

    fixed: float = 0.0
    prefill_rate: float = 0.0
    token_rate: float = 0.0
    output_tokens: int = 0
    spread: float = 0.0
    seed: int = 0

    def length(self, prompt: str, counted: int, most: int | None) -> int:
        """Output tokens of a reply that has `counted` in its text and may have `most`."""
        tokens: float = self.output_tokens or counted
        if self.spread:
            draw = random.Random(f"{self.seed}:{prompt}")
            tokens *= draw.lognormvariate(-self.spread * self.spread / 2, self.spread)
        return max(1, min(math.ceil(tokens), most or 1_000_000))

    def prefill(self, prompt_tokens: int) -> float:
        """Seconds until the first token."""
        return self.fixed + (prompt_tokens / self.prefill_rate if self.prefill_rate else 0.0)

    def generation(self, output_tokens: int) -> float:
        """Seconds from the first token to the last."""
        return output_tokens / self.token_rate if self.token_rate else 0.0
