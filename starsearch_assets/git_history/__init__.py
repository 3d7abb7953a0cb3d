"""Commits of opted-in repositories, from bare partial clones."""
