"""Jobs and their pods: what was asked for, what runs, and how it ended."""

from __future__ import annotations

import itertools
import signal
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import kubernetes_validate
import yaml

from tests.doubles.kubernetes.api import Handler
from tests.doubles.kubernetes.container import Container, ContainerError
from tests.doubles.misbehaving import MisbehavingServer

_LOOK = 0.05
_SUFFIXES = itertools.count()


@dataclass
class Pod:
    """A Job's pod. ended: reason and exit code, once it has."""

    name: str
    job: Mapping[str, Any]
    starts_at: float
    container: Container | None = None
    phase: str = "Pending"
    reason: str | None = None
    started: str | None = None
    finished: str | None = None
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def template(self) -> Mapping[str, Any]:
        """What the Job says of its pods."""
        found: Mapping[str, Any] = self.job["spec"]["template"]
        return found

    @property
    def labels(self) -> Mapping[str, str]:
        """Its own, and those that the Job controller adds."""
        name = self.job["metadata"]["name"]
        return {**self.template["metadata"].get("labels", {}), "job-name": name, "batch.kubernetes.io/job-name": name}


@dataclass
class Cluster(MisbehavingServer):
    """One namespace. config_maps, secrets: their data. service_accounts: those that there are.

    A Job has to stand Kubernetes' own schema, strictly; what it refers to has to be there.
    """

    namespace: str = "starsearch"
    config_maps: dict[str, dict[str, str]] = field(default_factory=dict)
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    service_accounts: set[str] = field(default_factory=lambda: {"default"})
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict, init=False)
    pods: dict[str, Pod] = field(default_factory=dict, init=False)
    created: list[dict[str, Any]] = field(default_factory=list, init=False)
    """Every Job that was ever created, as it was sent."""
    refused: list[str] = field(default_factory=list, init=False)
    """Why Jobs were refused."""
    asked: list[str] = field(default_factory=list, init=False)
    """Every request: verb and path."""
    handler = Handler
    misbehaviours = ("401", "403", "429", "500", "503", "504", "drop")

    def __enter__(self) -> Self:
        self._lock = threading.RLock()
        self._folder = TemporaryDirectory(prefix="starsearch-pods-")
        self._delay, self._failures = 0.0, 0
        super().__enter__()
        self._controller = threading.Thread(target=self._control, daemon=True)
        self._controller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, traceback)
        self._controller.join()
        for pod in self.pods.values():
            if pod.container is not None:
                pod.container.end(signal.SIGKILL)
        self._folder.cleanup()

    def kubeconfig(self, folder: Path) -> Path:
        """A file that leads clients here."""
        path = folder / "kubeconfig"
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1", "kind": "Config", "current-context": "double",
                    "clusters": [{"name": "double", "cluster": {"server": self.url}}],
                    "users": [{"name": "double", "user": {}}],
                    "contexts": [
                        {
                            "name": "double",
                            "context": {"cluster": "double", "user": "double", "namespace": self.namespace},
                        }
                    ],
                }
            )
        )  # fmt: skip
        return path

    def delay(self, seconds: float) -> None:
        """Pods of Jobs that come from now on wait so long for a node."""
        self._delay = seconds

    def fail(self, times: int) -> None:
        """The containers of the next pods cannot be started."""
        self._failures = times

    def evict(self, name: str) -> None:
        """Take a pod's node away: it ends at once, and its Job has failed."""
        with self._lock:
            pod = self.pods[name]
            if pod.container is not None:
                pod.container.end(signal.SIGKILL)
            self._ended(pod, "Failed", "Evicted")

    def log(self, name: str) -> str:
        """What a pod has printed."""
        pod = self.pods[name]
        return "" if pod.container is None else pod.container.log.read_text(errors="replace")

    def create(self, job: dict[str, Any]) -> str | None:
        """Take in a Job; why it is refused, or None."""
        try:
            kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)
        except kubernetes_validate.ValidationError as error:
            return f"{'.'.join(map(str, error.path))}: {error.message}"
        spec = job["spec"]["template"]["spec"]
        if (account := spec.get("serviceAccountName", "default")) not in self.service_accounts:
            return f'error looking up service account {self.namespace}/{account}: serviceaccount "{account}" not found'
        name = job["metadata"]["name"]
        with self._lock:
            now = _now()
            kept = {**job, "metadata": {**job["metadata"], "namespace": self.namespace, "creationTimestamp": now}}
            self.jobs[name] = {**kept, "status": {"startTime": now, "active": 1}}
            self.created.append(job)
            suffix = f"{next(_SUFFIXES):05d}"
            self.pods[f"{name}-{suffix}"] = Pod(f"{name}-{suffix}", job, time.monotonic() + self._delay)
        return None

    def delete(self, name: str) -> bool:
        """Delete a Job with its pods, as propagationPolicy Foreground does."""
        with self._lock:
            if self.jobs.pop(name, None) is None:
                return False
            for pod in [pod for pod in self.pods.values() if pod.job["metadata"]["name"] == name]:
                if pod.container is not None:
                    pod.container.end(signal.SIGTERM)
                self.pods.pop(pod.name)
            return True

    def _control(self) -> None:
        """What controllers, scheduler and kubelet do."""
        while not self.ended.wait(_LOOK):
            with self._lock:
                for pod in list(self.pods.values()):
                    if pod.phase == "Pending" and pod.starts_at <= time.monotonic():
                        self._start(pod)
                    elif pod.phase == "Running" and pod.container is not None and pod.container.code is not None:
                        good = pod.container.code == 0
                        self._ended(pod, *(("Succeeded", "Completed") if good else ("Failed", "Error")))
                self._collect()

    def _start(self, pod: Pod) -> None:
        (spec,) = pod.template["spec"]["containers"]
        objects = {("ConfigMap", name): data for name, data in self.config_maps.items()}
        objects |= {("Secret", name): data for name, data in self.secrets.items()}
        if self._failures and pod.reason is None:
            self._failures -= 1
            self._ended(pod, "Failed", "StartError")
            return
        try:
            for volume in pod.template["spec"].get("volumes", ()):
                wanted = volume.get("configMap", {}).get("name")
                if wanted is not None and wanted not in self.config_maps:
                    raise ContainerError(f'configmap "{wanted}" not found')
            pod.container = Container(pod.name, spec, objects, Path(self._folder.name) / pod.name)
        except ContainerError as error:
            pod.reason = f"CreateContainerConfigError: {error}"  # it waits for what it lacks, as pods do
            return
        pod.phase, pod.reason, pod.started = "Running", None, _now()

    def _ended(self, pod: Pod, phase: str, reason: str) -> None:
        pod.phase, pod.reason, pod.finished = phase, reason, _now()
        name = pod.job["metadata"]["name"]
        if (job := self.jobs.get(name)) is None:
            return
        counted = "succeeded" if phase == "Succeeded" else "failed"
        condition = {"type": "Complete" if counted == "succeeded" else "Failed", "status": "True"}
        job["status"] = {
            "startTime": job["status"]["startTime"], "completionTime": _now(), counted: 1, "conditions": [condition],
            "ended": time.monotonic(),
        }  # fmt: skip

    def _collect(self) -> None:
        """Delete Jobs whose time to live is over."""
        for name, job in list(self.jobs.items()):
            lives, ended = job["spec"].get("ttlSecondsAfterFinished"), job["status"].get("ended")
            if lives is not None and ended is not None and time.monotonic() - ended > lives:
                self.delete(name)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
