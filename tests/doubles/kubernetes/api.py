"""The calls that Dagster makes of Kubernetes' API (docs: kubernetes.io/docs/reference/kubernetes-api)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.doubles.misbehaving import MisbehavingHandler

if TYPE_CHECKING:
    from tests.doubles.kubernetes.cluster import Cluster, Pod

_JOBS = re.compile(r"/apis/batch/v1/namespaces/(?P<namespace>[^/]+)/jobs(?:/(?P<name>[^/]+))?(?P<below>/status)?$")
_PODS = re.compile(r"/api/v1/namespaces/(?P<namespace>[^/]+)/pods(?:/(?P<name>[^/]+))?(?P<below>/log)?$")
_EVENTS = re.compile(r"/api/v1/namespaces/(?P<namespace>[^/]+)/events$")
_REASONS = {404: "NotFound", 409: "AlreadyExists", 422: "Invalid", 403: "Forbidden", 401: "Unauthorized"}


class Handler(MisbehavingHandler):
    """One request; `double` is the cluster."""

    double: Cluster

    def do_DELETE(self) -> None:  # noqa: N802 - the base class looks for this name
        self.answer()

    def answer(self) -> None:
        """One request."""
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.double.asked.append(f"{self.command} {parts.path}")
        if (plan := self.double.plan()) is not None:
            if plan.what == "drop":
                self.close_connection = True
                return
            self._status(int(plan.what), "the double was told to")
            return
        selected = {name: values[0] for name, values in parse_qs(parts.query).items()}
        for pattern, answer in ((_JOBS, self._jobs), (_PODS, self._pods), (_EVENTS, self._events)):
            if (found := pattern.match(parts.path)) is not None:
                if found["namespace"] != self.double.namespace:
                    self._status(403, f'cannot do this in the namespace "{found["namespace"]}"')
                    return
                answer(found.groupdict().get("name"), selected, body)
                return
        self._status(404, f"the double does not know {self.command} {parts.path}")

    def _jobs(self, name: str | None, selected: Mapping[str, str], body: bytes) -> None:
        if self.command == "POST":
            self._create(json.loads(body))
        elif name is None:
            jobs = (_shown(job) for job in self.double.jobs.values())
            self._list("JobList", "batch/v1", (job for job in jobs if _selects(selected, job["metadata"])))
        elif self.command == "DELETE":
            if self.double.delete(name):
                self._json(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})
            else:
                self._status(404, f'jobs.batch "{name}" not found')
        elif (job := self.double.jobs.get(name)) is None:
            self._status(404, f'jobs.batch "{name}" not found')
        else:
            self._json(200, _shown(job))

    def _create(self, job: dict[str, Any]) -> None:
        if (name := job["metadata"]["name"]) in self.double.jobs:
            self._status(409, f'jobs.batch "{name}" already exists')
        elif (why := self.double.create(job)) is not None:
            self.double.refused.append(why)
            self._status(422, f'Job.batch "{name}" is invalid: {why}')
        else:
            self._json(201, _shown(self.double.jobs[name]))

    def _pods(self, name: str | None, selected: Mapping[str, str], body: bytes) -> None:
        pods = [_pod(pod, self.double.namespace) for pod in list(self.double.pods.values())]
        if name is None:
            self._list("PodList", "v1", (pod for pod in pods if _selects(selected, pod["metadata"])))
        elif name not in self.double.pods:
            self._status(404, f'pods "{name}" not found')
        elif self.path.partition("?")[0].endswith("/log"):
            self.send(200, self.double.log(name).encode(), {"content-type": "text/plain"})
        else:
            self._json(200, next(pod for pod in pods if pod["metadata"]["name"] == name))

    def _events(self, name: str | None, selected: Mapping[str, str], body: bytes) -> None:
        self._list("EventList", "v1", ())

    def _list(self, kind: str, version: str, items: Iterable[Mapping[str, Any]]) -> None:
        self._json(200, {"kind": kind, "apiVersion": version, "metadata": {}, "items": list(items)})

    def _status(self, code: int, message: str) -> None:
        reason = _REASONS.get(code, "InternalError")
        self._json(
            code,
            {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason,
             "code": code},
        )  # fmt: skip

    def _json(self, code: int, content: Mapping[str, Any]) -> None:
        self.send(code, json.dumps(content).encode())


def _shown(job: Mapping[str, Any]) -> dict[str, Any]:
    status = {name: value for name, value in job["status"].items() if name != "ended"}
    return {"apiVersion": "batch/v1", "kind": "Job", **job, "status": status}


def _pod(pod: Pod, namespace: str) -> dict[str, Any]:
    """A pod as Kubernetes tells of it."""
    (spec,) = pod.template["spec"]["containers"]
    state: dict[str, Any] = {"waiting": {"reason": (pod.reason or "ContainerCreating").partition(":")[0]}}
    if pod.phase == "Running":
        state = {"running": {"startedAt": pod.started}}
    elif pod.finished is not None:
        code = 137 if pod.container is None or pod.container.code is None else pod.container.code
        state = {"terminated": {"exitCode": code, "reason": pod.reason, "finishedAt": pod.finished}}
    status: dict[str, Any] = {
        "phase": pod.phase,
        "containerStatuses": [
            {
                "name": spec["name"], "image": spec["image"], "imageID": spec["image"], "ready": "running" in state,
                "restartCount": 0, "state": state,
            }
        ],
    }  # fmt: skip
    if pod.reason == "Evicted":
        status["reason"] = "Evicted"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": pod.name, "namespace": namespace, "uid": pod.uid, "labels": dict(pod.labels)},
        "spec": pod.template["spec"],
        "status": status,
    }


def _selects(selected: Mapping[str, str], metadata: Mapping[str, Any]) -> bool:
    """Whether an object fits the request's labelSelector and fieldSelector (equality alone)."""
    for pair in filter(None, selected.get("labelSelector", "").split(",")):
        name, _, value = pair.replace("==", "=").partition("=")
        if metadata.get("labels", {}).get(name) != value:
            return False
    for pair in filter(None, selected.get("fieldSelector", "").split(",")):
        name, _, value = pair.replace("==", "=").partition("=")
        if name == "metadata.name" and metadata["name"] != value:
            return False
    return True
