"""`python -m starsearch_assets.sample DIR` writes the sample's hour files into DIR, its git history into DIR/git."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from starsearch_assets.sample import write_histories, write_sample


def main() -> None:
    """Write the files and say what they hold."""
    parser = argparse.ArgumentParser(prog="python -m starsearch_assets.sample", description=__doc__)
    parser.add_argument("directory", type=Path, help="where the hour files go; made if it does not exist")
    directory: Path = parser.parse_args().directory
    truth = write_sample(directory)
    kinds = ", ".join(f"{count} {kind.replace('_', ' ')}s" for kind, count in truth.items.items())
    sys.stdout.write(f"{len(truth.files)} hour files in {directory}: {truth.events} events; with text: {kinds}\n")
    histories = write_histories(directory / "git")
    if histories is None:
        sys.stdout.write("git is not installed: its history is left out\n")
    for history in histories or ():
        sys.stdout.write(f"{len(history.commits)} commits of {history.repo} in {history.path}\n")


if __name__ == "__main__":
    main()
