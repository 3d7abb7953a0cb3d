"""`python -m starsearch_assets.cli` is the command `starsearch`."""

from starsearch_assets.cli.app import main

main()
