"""LLM servers that are not ours, each a process with a tiny random model: llama.cpp, `transformers serve`, vLLM."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.integration.commands import free_port
from tests.integration.tiny_gguf import write_tiny_gguf
from tests.integration.tiny_llm import write_tiny_llm

LLAMA_CPP = """
import signal, sys, xllamacpp
given = xllamacpp.CommonParams()
given.model.path, given.port, given.model_alias = sys.argv[1], int(sys.argv[2]), {"tiny"}
given.n_parallel, given.n_ctx, given.warmup, given.cpuparams.n_threads = 2, 1024, False, 1
server = xllamacpp.Server(given)
signal.sigwait({signal.SIGTERM})
"""
STARTS_WITHIN = 180.0


@dataclass(frozen=True)
class RealServer:
    """A running server. lists_models: whether /v1/models answers; guides_json: whether it holds replies to a schema;
    unknown_model: the status for a model that it does not have, 200 where it answers with the one that it has."""

    kind: str
    url: str
    model: str
    lists_models: bool
    guides_json: bool
    unknown_model: int


def llama_cpp(folder: Path, port: int) -> tuple[list[str], RealServer]:
    """llama.cpp's server, from the packages xllamacpp and gguf."""
    _needed("xllamacpp", "gguf")
    model = write_tiny_gguf(folder / "tiny.gguf")
    command = [sys.executable, "-c", LLAMA_CPP, str(model), str(port)]
    return command, RealServer("llama_cpp", f"http://127.0.0.1:{port}/v1", "tiny", True, True, 200)


def transformers(folder: Path, port: int) -> tuple[list[str], RealServer]:
    """`transformers serve`, which needs accelerate; without a cache of downloads it cannot list models."""
    _needed("accelerate")
    write_tiny_llm(folder)
    program = str(Path(sys.executable).with_name("transformers"))
    command = [program, "serve", str(folder), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    return command, RealServer("transformers", f"http://127.0.0.1:{port}/v1", str(folder), False, False, 400)


def vllm(folder: Path, port: int) -> tuple[list[str], RealServer]:
    """vLLM, by the path of its program in VLLM_PROGRAM."""
    if "VLLM_PROGRAM" not in os.environ:
        pytest.skip("VLLM_PROGRAM is not set to the path of a `vllm` program")
    write_tiny_llm(folder)
    command = [os.environ["VLLM_PROGRAM"], "serve", str(folder), "--served-model-name", "tiny", "--port", str(port)]
    command += ["--host", "127.0.0.1", "--enforce-eager", "--dtype", "float32", "--max-num-seqs", "4"]
    command += ["--structured-outputs-config", '{"disable_any_whitespace": true, "backend": "xgrammar"}']
    return command, RealServer("vllm", f"http://127.0.0.1:{port}/v1", "tiny", True, True, 404)


SERVERS: dict[str, Callable[[Path, int], tuple[list[str], RealServer]]] = {
    "llama_cpp": llama_cpp,
    "transformers": transformers,
    "vllm": vllm,
}


@contextmanager
def running(name: str, folder: Path) -> Iterator[RealServer]:
    """The server of this name, once it answers; the test is skipped where its packages are missing."""
    command, server = SERVERS[name](folder, free_port())
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "home"), "VLLM_NO_USAGE_STATS": "1"}
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=os.environ | offline | {"VLLM_CPU_KVCACHE_SPACE": "1"}, stdout=output, stderr=output
        )
    try:
        _wait(f"{server.url.removesuffix('/v1')}/health", process, log)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _needed(*packages: str) -> None:
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"the package {package} is not installed")


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < ends and process.poll() is None:
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"{process.args!r} does not answer at {url}: {log.read_text()[-2000:]}")
