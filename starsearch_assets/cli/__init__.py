"""The command `starsearch`."""

from starsearch_assets.cli.app import main

__all__ = ["main"]
