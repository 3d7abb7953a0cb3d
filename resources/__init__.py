"""Ground floor: one module an outside system (Postgres, GH Archive, the LLM server, the embedder)."""
