"""Immutable index artifacts: a month's rows with their HNSW index."""
