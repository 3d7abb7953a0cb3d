"""A simulated vLLM: an OpenAI-compatible server over real HTTP on loopback, observed, and able to misbehave."""

from tests.doubles.llm_server.embeddings import EmbeddingLimits, embedding
from tests.doubles.llm_server.latency import Latency
from tests.doubles.llm_server.misbehaviour import Misbehaviour
from tests.doubles.llm_server.process import LLMProcess, llm_process
from tests.doubles.llm_server.replies import Calls, calls, default_reply, json_reply, text_reply
from tests.doubles.llm_server.request import CHAT, EMBEDDINGS, MODELS, Request
from tests.doubles.llm_server.server import LLMServer
from tests.doubles.llm_server.stats import Observation

__all__ = [
    "CHAT",
    "EMBEDDINGS",
    "MODELS",
    "Calls",
    "EmbeddingLimits",
    "LLMProcess",
    "LLMServer",
    "Latency",
    "Misbehaviour",
    "Observation",
    "Request",
    "calls",
    "default_reply",
    "embedding",
    "json_reply",
    "llm_process",
    "text_reply",
]
