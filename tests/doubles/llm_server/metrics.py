"""The server's metrics by vLLM's names, in the text format of Prometheus."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from tests.doubles.llm_server.request import CHAT
from tests.doubles.llm_server.slots import Slots
from tests.doubles.llm_server.stats import Stats

BUCKETS = (0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_SUCCESS = {"stop": "stop", "length": "length", "abort": "abandoned", "error": "500"}


def metrics(model: str, stats: Stats, slots: Slots) -> str:
    """All of them, labelled with engine and model_name."""
    label = f'engine="0",model_name="{model}"'
    return "\n".join(_lines(label, stats, slots)) + "\n"


def _lines(label: str, stats: Stats, slots: Slots) -> Iterator[str]:
    yield from _value(
        "num_requests_running", "gauge", "Number of requests in model execution batches.", label, slots.running
    )
    yield from _value(
        "num_requests_waiting", "gauge", "Number of requests waiting to be processed.", label, slots.waiting
    )
    yield from _value(
        "prompt_tokens_total", "counter", "Number of prefill tokens processed.", label, stats.prompt_tokens
    )
    yield from _value(
        "generation_tokens_total", "counter", "Number of generation tokens processed.", label, stats.completion_tokens
    )
    yield from _head("request_success_total", "counter", "Count of successfully processed requests.")
    for reason, outcome in _SUCCESS.items():
        yield f'vllm:request_success_total{{{label},finished_reason="{reason}"}} {float(stats.outcomes[outcome])}'
    done = [
        (seen.received, seen.started, seen.finished)
        for seen in stats.observations
        if seen.path == CHAT and seen.started is not None and seen.finished is not None
    ]
    queued = [started - received for received, started, _ in done]
    firsts = [(seen.first_token or seen.finished or 0.0) - seen.received for seen in stats.observations if seen.started]
    yield from _histogram("time_to_first_token_seconds", "Histogram of time to first token in seconds.", label, firsts)
    whole = [finished - received for received, _, finished in done]
    yield from _histogram("e2e_request_latency_seconds", "Histogram of e2e request latency in seconds.", label, whole)
    yield from _histogram("request_queue_time_seconds", "Histogram of time spent in WAITING phase.", label, queued)


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP vllm:{name} {text}"
    yield f"# TYPE vllm:{name} {kind}"


def _value(name: str, kind: str, text: str, label: str, value: float) -> Iterator[str]:
    yield from _head(name, kind, text)
    yield f"vllm:{name}{{{label}}} {float(value)}"


def _histogram(name: str, text: str, label: str, values: list[float]) -> Iterator[str]:
    yield from _head(name, "histogram", text)
    counts = [0] * (len(BUCKETS) + 1)
    for value in values:
        counts[bisect_left(BUCKETS, value)] += 1
    total = 0
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), counts, strict=True):
        total += count
        yield f'vllm:{name}_bucket{{{label},le="{bound}"}} {float(total)}'
    yield f"vllm:{name}_count{{{label}}} {float(len(values))}"
    yield f"vllm:{name}_sum{{{label}}} {sum(values)}"
