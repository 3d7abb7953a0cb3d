"""A causal language model of two layers with random weights as a GGUF file, which llama.cpp serves.

It says nothing sensible; what it shows is how a real server speaks. Needs the package `gguf`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

CONTEXT = 512
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_WIDTH, _HIDDEN, _HEADS, _LAYERS = 64, 128, 2, 2


def write_tiny_gguf(path: Path) -> Path:
    """Write weights (seeded), a byte-level tokenizer and a chat template to `path`, and return it."""
    import gguf

    writer = gguf.GGUFWriter(path, "llama")
    tokens = _tokens()
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_LAYERS)
    writer.add_feed_forward_length(_HIDDEN)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [gguf.TokenType.CONTROL if one.startswith("<|") else gguf.TokenType.NORMAL for one in tokens]
    )
    writer.add_token_merges(["t h"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    for name, shape in _shapes(len(tokens)).items():
        writer.add_tensor(name, _weights(name, shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _tokens() -> list[str]:
    """The marks of the template, a token for each byte as GPT-2 writes it, and one merge."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = [chr(byte) for byte in printable] + [chr(256 + number) for number in range(len(others))]
    return ["<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", *letters, "th"]


def _shapes(vocabulary: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (vocabulary, _WIDTH),
        "output_norm.weight": (_WIDTH,),
        "output.weight": (vocabulary, _WIDTH),
    }
    for layer in range(_LAYERS):
        block = f"blk.{layer}"
        shapes |= {f"{block}.{name}_norm.weight": (_WIDTH,) for name in ("attn", "ffn")}
        shapes |= {f"{block}.attn_{name}.weight": (_WIDTH, _WIDTH) for name in ("q", "k", "v", "output")}
        shapes |= {f"{block}.ffn_{name}.weight": (_HIDDEN, _WIDTH) for name in ("gate", "up")}
        shapes[f"{block}.ffn_down.weight"] = (_WIDTH, _HIDDEN)
    return shapes


def _weights(name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name.endswith("norm.weight"):
        return np.ones(shape, dtype=np.float32)
    seed = np.random.default_rng([ord(letter) for letter in name])
    return (seed.standard_normal(shape) * 0.05).astype(np.float32)
