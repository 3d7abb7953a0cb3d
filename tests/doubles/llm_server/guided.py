"""A value that fits a JSON schema, decided by the schema and the text that it is to be about."""

from __future__ import annotations

import hashlib
import re
from typing import Any

TECHNOLOGIES = (
    "Python JavaScript TypeScript Rust Go Java Kotlin Swift Ruby PHP C++ React Vue Angular Svelte Next.js Node.js Deno"
    " Django Flask FastAPI Rails Spring PostgreSQL MySQL SQLite Redis Kafka MongoDB Docker Kubernetes Terraform Helm"
    " Webpack Vite Babel ESLint pytest Jest Cypress Playwright GraphQL gRPC REST WebSocket CSS HTML Markdown YAML JSON"
    " TOML SQL CUDA PyTorch TensorFlow NumPy pandas vLLM OpenAI Linux Windows macOS Android iOS Git GitHub npm pip"
).split()
_WORD = re.compile(r"[A-Za-z][\w'-]{2,}")
_COMPONENT = re.compile(r"\b(?:[\w.-]+/)+[\w.-]+\w|\b[a-z]+(?:_[a-z]+)+\b|\b[a-z]+[A-Z]\w+\b|\b[A-Z][a-z]+[A-Z]\w+\b")


class Writer:
    """Writes values about a text."""

    def __init__(self, title: str, body: str) -> None:
        self.title, self.body = title, body
        self.text = f"{title}\n{body}"
        self.number = int.from_bytes(hashlib.sha256(self.text.encode("utf-8", "replace")).digest()[:4])

    def value(self, schema: dict[str, Any], name: str = "", root: dict[str, Any] | None = None) -> Any:
        """A value that fits; name: of the property that it is for."""
        root = schema if root is None else root
        if "$ref" in schema:
            found = root
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            return self.value(found, name, root)
        for one_of in ("anyOf", "oneOf", "allOf"):
            if one_of in schema:
                return self.value(schema[one_of][0], name, root)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._choice(schema["enum"])
        kind = schema.get("type", "object" if "properties" in schema else "string")
        kind = kind[0] if isinstance(kind, list) else kind
        if kind == "object":
            return {key: self.value(one, key, root) for key, one in schema.get("properties", {}).items()}
        if kind == "array":
            return self._array(schema, name, root)
        if kind in ("integer", "number"):
            return self._number(schema)
        if kind == "string":
            return self._string(schema, name)
        return self.number % 2 == 0 if kind == "boolean" else None

    def summary(self) -> str:
        """Three sentences out of the words of title and body."""
        title = self.title.strip().rstrip(".") or "This item"
        words = list(dict.fromkeys(word for word in _WORD.findall(self.body) if len(word) > 4))
        said = words[:12] or _WORD.findall(title)[:3] or ["nothing"]
        half = max(1, len(said) // 2)
        sentences = [f"{title[:200]}.", f"The text is about {_listed(said[:half])}."]
        if rest := said[half:]:
            sentences.append(f"It also names {_listed(rest)}.")
        return " ".join(sentences)

    def _choice(self, choices: list[Any]) -> Any:
        lowered = self.text.lower()
        named = [one for one in choices if isinstance(one, str) and re.search(rf"\b{re.escape(one.lower())}", lowered)]
        return named[0] if named else choices[self.number % len(choices)]

    def _array(self, schema: dict[str, Any], name: str, root: dict[str, Any]) -> list[Any]:
        items = schema.get("items", {})
        at_least, at_most = schema.get("minItems", 0), schema.get("maxItems", 4)
        if "enum" in items:
            return items["enum"][: max(at_least, min(1, at_most))]
        if items.get("type", "string") != "string":
            return [self.value(items, name, root) for _ in range(max(at_least, min(1, at_most)))]
        found = self._technologies() if "tech" in name else list(dict.fromkeys(_COMPONENT.findall(self.text)))
        found = [one[: items.get("maxLength", 80)] for one in found][:at_most]
        return found + [f"part {number}" for number in range(len(found), at_least)]

    def _technologies(self) -> list[str]:
        known = re.compile(r"(?<![\w.+-])(" + "|".join(re.escape(one) for one in TECHNOLOGIES) + r")(?![\w+-])")
        return list(dict.fromkeys(known.findall(self.text)))

    def _number(self, schema: dict[str, Any]) -> float:
        low = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
        return low + self.number % (max(0, schema.get("maximum", low + 9) - low) + 1)  # type: ignore[no-any-return]

    def _string(self, schema: dict[str, Any], name: str) -> str:
        text = self.summary() if name in ("summary", "text", "") else self.title or "text"
        most = schema.get("maxLength", 4000)
        while len(text) > most and " " in text:
            text = text.rsplit(" ", 1)[0]
        return text[:most].ljust(schema.get("minLength", 0), ".")


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
