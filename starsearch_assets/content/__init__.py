"""Pull requests, issues and releases of tracked repositories, merged from events."""
