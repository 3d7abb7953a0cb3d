"""Short summaries of items, paid for once per content."""
