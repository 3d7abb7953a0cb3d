"""Judged queries: what people ask, which items answer it, and how many of them search finds."""
