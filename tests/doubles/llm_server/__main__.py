"""The server as a process of its own: prints its URL and serves until it is told to end."""

from __future__ import annotations

import argparse
import gc
import signal

from tests.doubles.llm_server.latency import Latency
from tests.doubles.llm_server.server import LLMServer


def main() -> None:
    """Read the command line and serve."""
    given = _parser().parse_args()
    latency = Latency(
        fixed=given.latency_ms / 1000,
        prefill_rate=given.prefill_rate,
        token_rate=given.token_rate,
        output_tokens=given.output_tokens,
        spread=given.spread,
        seed=given.seed,
    )
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with LLMServer(
        models=tuple(given.models.split(",")),
        port=given.port,
        slots=given.slots,
        latency=latency,
        priority_scheduling=given.priority_scheduling,
        guided_json={"no": False, "yes": True}.get(given.guided_json, given.guided_json),
        max_model_len=given.max_model_len,
        truncates=given.truncates,
        tokenizer=given.tokenizer,
        api_keys=tuple(given.api_keys.split(",")) if given.api_keys else (),
        remember=1000,
    ) as server:
        gc.freeze()
        print(server.url, flush=True)
        signal.sigwait(ends)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tests.doubles.llm_server", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--slots", type=int, default=64, help="requests that are generated at a time")
    parser.add_argument("--models", default="test-model", help="names, with commas between them")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="before the first token of each reply")
    parser.add_argument("--prefill-rate", type=float, default=0.0, help="prompt tokens a second; 0: no time")
    parser.add_argument("--token-rate", type=float, default=0.0, help="output tokens a second and slot; 0: no time")
    parser.add_argument("--output-tokens", type=int, default=0, help="of a reply on average; 0: as its text has")
    parser.add_argument("--spread", type=float, default=0.0, help="sigma of the log-normal length of replies")
    parser.add_argument("--seed", type=int, default=0, help="of the spread")
    parser.add_argument("--priority-scheduling", action="store_true", help="lower priorities first")
    parser.add_argument("--guided-json", choices=("yes", "no", "ignored", "refused"), default="yes")
    parser.add_argument("--max-model-len", type=int, default=32_768, help="tokens of prompt and reply")
    parser.add_argument("--truncates", action="store_true", help="cut longer prompts, as Ollama does")
    parser.add_argument("--tokenizer", choices=("words", "characters"), default="characters")
    parser.add_argument("--api-keys", default="", help="names, with commas between them; none: all are welcome")
    return parser


if __name__ == "__main__":
    main()
