"""Content: pull requests, issues, releases and comments of tracked repositories, merged from events."""
