"""Objects against schemas, strictly: unknown fields are refused, and so is a kind that nobody has a schema of.

Kubernetes' own come with kubernetes-validate; those of custom resources are in schemas/, written down from their
documentation: only the fields that are used here, so that any other has to be looked up first.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

from tests.kubernetes.rendering import Manifest, title

SCHEMAS = Path(__file__).parent / "schemas"
VERSIONS = ("1.30", "1.37")
"""The oldest that has what is used here (the sleep of a preStop), and the newest that is known."""


@functools.cache
def custom_schemas() -> dict[tuple[str, str], Any]:
    """The written down ones, by apiVersion and kind."""
    found = {}
    for path in sorted(SCHEMAS.glob("*.yaml")):
        schema = yaml.safe_load(path.read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        properties = schema["properties"]
        found[properties["apiVersion"]["const"], properties["kind"]["const"]] = schema
    return found


def schema_problems(one: Manifest) -> list[str]:
    """What is wrong with the object; nothing: it is valid in all `VERSIONS`."""
    custom = custom_schemas().get((one["apiVersion"], one["kind"]))
    if custom is not None:
        return [
            f"{title(one)}: {error.json_path}: {error.message}"
            for error in jsonschema.Draft202012Validator(custom).iter_errors(one)
        ]
    problems = []
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(one, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            problems.append(f"{title(one)} in Kubernetes {version}: {error.json_path}: {error.message}")
        except kubernetes_validate.SchemaNotFoundError:
            problems.append(
                f"{title(one)}: nothing validates {one['apiVersion']} {one['kind']}; write its schema down in {SCHEMAS}"
            )
    return problems
