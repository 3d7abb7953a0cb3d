"""A server with /rerank over real HTTP on loopback, in either dialect, and able to misbehave.

with RerankServer("texts") as server:
    server.misbehave("429", times=1, retry_after=0.1)
    ServerReranker(server.url).scores("a query", ["a document"])
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from tests.doubles.misbehaving import MisbehavingHandler, MisbehavingServer, Plan

Dialect = Literal["texts", "documents"]
"""texts: Text Embeddings Inference. documents: vLLM, as Cohere and Jina."""

Misbehaviour = Literal[
    "400", "401", "403", "413", "424", "429", "500", "502", "503", "hang", "drop", "half a body", "slow",
    "a web page", "no list", "NaN", "text as score", "fewer scores", "more scores", "double indexes", "negative index",
]  # fmt: skip


def relevance(query: str, document: str) -> float:
    """The share of the query's words that the document has, less a little for each word of the document."""
    wanted, words = set(query.lower().split()), document.lower().split()
    return len(wanted & set(words)) / len(wanted) - len(words) / 1000


@dataclass
class RerankServer(MisbehavingServer):
    """Serves while it is entered as a context.

    paths: where it answers. window: words of query and document together; more are refused, or cut where the request
    says `truncate`. most: texts of a request. api_key: another is refused with 401. model: another is refused with 404.
    """

    dialect: Dialect = "texts"
    paths: tuple[str, ...] = ()
    window: int = 512
    most: int = 32
    api_key: str | None = None
    model: str | None = None
    requests: list[tuple[str, dict[str, Any], str | None]] = field(default_factory=list, init=False)
    """Path, body and Authorization of each request."""

    def __post_init__(self) -> None:
        self.paths = self.paths or (
            ("/rerank",) if self.dialect == "texts" else ("/rerank", "/v1/rerank", "/v2/rerank")
        )
        super().__post_init__()

    @property
    def asked(self) -> list[dict[str, Any]]:
        """The bodies of the requests whose path and dialect fit, probes aside."""
        return [body for path, body, _ in self.requests
                if path in self.paths and self.dialect in body and body["query"] != "probe"]  # fmt: skip

    def answer(self, path: str, body: dict[str, Any], authorization: str | None) -> tuple[int, Any]:
        """What a good server says."""
        if path not in self.paths:
            return 404, {"detail": "Not Found"}
        if self.api_key is not None and authorization != f"Bearer {self.api_key}":
            return 401, {"error": f"Unauthorized: {authorization}"}  # careless servers repeat what they refuse
        if self.dialect not in body:
            if self.dialect == "texts":
                return 422, "Failed to deserialize the JSON body into the target type: missing field `texts`"
            return 400, {"error": {"message": "[{'type': 'missing', 'loc': ('body', 'documents')}]", "code": 400}}
        if self.model is not None and body.get("model") != self.model:
            return 404, {"error": {"message": f"The model `{body.get('model')}` does not exist.", "code": 404}}
        return self._texts(body) if self.dialect == "texts" else self._documents(body)

    def _texts(self, body: dict[str, Any]) -> tuple[int, Any]:
        query, texts = body["query"], body["texts"]
        if len(texts) > self.most:
            error = f"batch size {len(texts)} > maximum allowed batch size {self.most}"
            return 413, {"error": error, "error_type": "Validation"}
        longest = max(len(f"{query} {text}".split()) for text in texts)
        if longest > self.window and not body.get("truncate"):
            error = f"Input validation error: `inputs` must have less than {self.window} tokens. Given: {longest}"
            return 413, {"error": error, "error_type": "Validation"}
        room = self.window - len(query.split())
        ranks = [{"index": index, "score": relevance(query, " ".join(text.split()[:room]))}
                 for index, text in enumerate(texts)]  # fmt: skip
        return 200, sorted(ranks, key=lambda rank: -rank["score"])

    def _documents(self, body: dict[str, Any]) -> tuple[int, Any]:
        query, documents = body["query"], body["documents"]
        longest = max(len(f"{query} {document}".split()) for document in documents)
        if longest > self.window:
            message = (
                f"You passed {longest} input tokens and requested 0 output tokens. However, the model's context length"
                f" is only {self.window} tokens, resulting in a maximum input length of {self.window} tokens. Please"
                " reduce the length of the input prompt."
            )
            return 400, {"error": {"message": message, "type": "BadRequestError", "param": "input_tokens", "code": 400}}
        results = [{"index": index, "document": {"text": document}, "relevance_score": relevance(query, document)}
                   for index, document in enumerate(documents)]  # fmt: skip
        results.sort(key=lambda one: -one["relevance_score"])
        return 200, {"id": "rerank-1", "model": body.get("model"), "usage": {"total_tokens": 1}, "results": results}


class _Handler(MisbehavingHandler):
    double: RerankServer

    def answer(self) -> None:
        """One request."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        authorization = self.headers.get("authorization")
        self.double.requests.append((self.path, body, authorization))
        status, told = self.double.answer(self.path, body, authorization)
        plan = self.double.plan()
        if plan is None:
            self.send(status, json.dumps(told).encode())
            return
        if plan.what in ("hang", "drop"):
            self.double.ended.wait(plan.seconds if plan.what == "hang" else 0)
            self.close_connection = True
        elif plan.what.isdigit():
            error = {"error": {"message": f"no ({plan.what}) for {authorization}"}}
            headers = {} if plan.retry_after is None else {"retry-after": str(plan.retry_after)}
            self.send(int(plan.what), json.dumps(error).encode(), headers)
        elif plan.what == "a web page":
            self.send(200, b"<html>Welcome!</html>", {"content-type": "text/html"})
        elif plan.what in ("half a body", "slow"):
            self._send_part_by_part(json.dumps(told).encode(), plan)
        else:
            self.send(status, json.dumps(_wrong(told, plan.what)).encode())

    def _send_part_by_part(self, content: bytes, plan: Plan) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.close_connection = True
        if plan.what == "half a body":
            self.wfile.write(content[: len(content) // 2])
            return
        try:
            for start in range(len(content)):
                self.wfile.write(content[start : start + 1])
                self.wfile.flush()
                time.sleep(plan.seconds / len(content))
        except OSError:  # the client has gone
            pass


def _wrong(told: Any, what: Misbehaviour) -> Any:
    rows = [dict(row) for row in (told["results"] if isinstance(told, dict) else told)]
    name = "relevance_score" if "relevance_score" in rows[0] else "score"
    if what == "NaN":
        rows[-1][name] = float("nan")
    elif what == "text as score":
        rows[-1][name] = "high"
    elif what == "fewer scores":
        rows.pop()
    elif what == "more scores":
        rows.append({**rows[0], "index": len(rows)})
    elif what == "double indexes":
        rows[-1]["index"] = rows[0]["index"]
    elif what == "negative index":
        rows[-1]["index"] = -1
    elif what == "no list":
        return {"message": "hello"}
    return {**told, "results": rows} if isinstance(told, dict) else rows


RerankServer.handler, RerankServer.misbehaviours = _Handler, get_args(Misbehaviour)
