"""A pod's container as a process: its command, and the pod's environment and nothing else."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[3]
_REFERENCE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


class ContainerError(Exception):
    """The container cannot be created: what Kubernetes calls CreateContainerConfigError."""


class Container:
    """A running process. objects: data of ConfigMaps and Secrets by kind and name."""

    def __init__(
        self, pod: str, spec: Mapping[str, Any], objects: Mapping[tuple[str, str], Mapping[str, str]], log: Path
    ) -> None:
        environment = _environment(pod, spec, objects)
        words = [*spec.get("command", ()), *spec.get("args", ())]
        self.log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [_REFERENCE.sub(lambda found: environment.get(found[1], found[0]), word) for word in words],
                cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    @property
    def code(self) -> int | None:
        """Exit code; None while it runs."""
        return self._process.poll()

    def end(self, how: signal.Signals) -> None:
        """Send its first process a signal; SIGKILL reaches all that it has started."""
        with suppress(psutil.NoSuchProcess):
            first = psutil.Process(self._process.pid)
            for one in [first, *(first.children(recursive=True) if how is signal.SIGKILL else ())]:
                with suppress(psutil.NoSuchProcess):
                    one.send_signal(how)
        if how is signal.SIGKILL:
            self._process.wait()


def _environment(
    pod: str, spec: Mapping[str, Any], objects: Mapping[tuple[str, str], Mapping[str, str]]
) -> dict[str, str]:
    """What the container's environment is: of this process only what an image has of its own."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "HOSTNAME": pod,
    }
    for source in spec.get("envFrom", ()):
        for kind, name in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
            if name in source:
                environment |= _data(objects, kind, source[name])
    for one in spec.get("env", ()):
        environment[one["name"]] = one.get("value", "")
        if (source := one.get("valueFrom")) is None:
            continue
        for kind, name in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
            if name in source:
                data = _data(objects, kind, source[name])
                if (key := source[name]["key"]) not in data and not source[name].get("optional"):
                    raise ContainerError(f"couldn't find key {key} in {kind} {source[name]['name']}")
                environment[one["name"]] = data.get(key, "")
        if source.get("fieldRef", {}).get("fieldPath") == "metadata.name":
            environment[one["name"]] = pod
    return environment


def _data(
    objects: Mapping[tuple[str, str], Mapping[str, str]], kind: str, reference: Mapping[str, Any]
) -> Mapping[str, str]:
    found = objects.get((kind, reference["name"]))
    if found is None and not reference.get("optional"):
        raise ContainerError(f'{kind.lower()} "{reference["name"]}" not found')
    return found or {}
