"""Runs deploy/pulumi under Pulumi's mocks and prints what it would register: `python -m … STACK [KEY=VALUE …]`.

A process of its own, because Pulumi keeps its mocks and its event loop for the process.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pulumi
import yaml

PROGRAM = Path(__file__).resolve().parents[2] / "deploy" / "pulumi"


class Recorder(pulumi.runtime.Mocks):
    """Remembers the resources in the order in which they were registered."""

    def __init__(self) -> None:
        self.resources: list[dict[str, Any]] = []

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        """As if it had been made."""
        self.resources.append({"type": args.typ, "name": args.name, "inputs": dict(args.inputs)})
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        """Nothing is asked."""
        raise NotImplementedError(args.token)


def main(stack: str, *changes: str) -> None:
    """Register the stack's resources and print them with the outputs."""
    config = yaml.safe_load((PROGRAM / f"Pulumi.{stack}.yaml").read_text())["config"]
    config |= dict(one.split("=", 1) for one in changes)
    recorder = Recorder()
    pulumi.runtime.set_mocks(recorder, project="starsearch", stack=stack, preview=False)
    pulumi.runtime.set_all_config(config)
    sys.path.insert(0, str(PROGRAM))

    @pulumi.runtime.test
    def program() -> None:
        runpy.run_path(str(PROGRAM / "__main__.py"))

    program()
    print(json.dumps(recorder.resources))


if __name__ == "__main__":
    main(*sys.argv[1:])
