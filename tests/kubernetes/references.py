"""What objects say of one another; each function lists what leads nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tests.kubernetes.outside import OUTSIDE_PODS, OUTSIDE_SECRETS, OUTSIDE_SERVICES
from tests.kubernetes.rendering import (
    Manifest,
    containers,
    namespace,
    of_kind,
    pod_labels,
    pod_spec,
    title,
    workloads,
)  # fmt: skip

Labels = Mapping[str, str]

_VOLUMES = (
    ("persistentVolumeClaim", "PersistentVolumeClaim", "claimName"),
    ("configMap", "ConfigMap", "name"),
    ("secret", "Secret", "secretName"),
)
_SOURCES = {
    "configMapRef": "ConfigMap",
    "configMapKeyRef": "ConfigMap",
    "secretRef": "Secret",
    "secretKeyRef": "Secret",
}


def selects(selector: Manifest, labels: Labels) -> bool:
    """Whether a label selector takes these labels; an empty one takes all."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for one in selector.get("matchExpressions", []):
        key, operator, values = one["key"], one["operator"], one.get("values", [])
        fits = {
            "In": key in labels and labels[key] in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }[operator]
        if not fits:
            return False
    return True


def selector_problems(objects: Sequence[Manifest]) -> list[str]:
    """Each Service, PodDisruptionBudget, PodMonitor, ServiceMonitor, spread and policy selects some pod or Service."""
    pods = [pod_labels(one) for one in workloads(objects)]
    everybody = [*pods, *OUTSIDE_PODS.values()]
    services = [one["metadata"].get("labels", {}) for one in of_kind(objects, "Service")]
    problems = []
    for one in objects:
        spec = one.get("spec", {})
        checked: list[tuple[Manifest, Sequence[Labels]]] = []
        if one["kind"] == "Service" and "selector" in spec:
            checked.append(({"matchLabels": spec["selector"]}, pods))
        elif one["kind"] in ("PodDisruptionBudget", "PodMonitor"):
            checked.append((spec["selector"], pods))
        elif one["kind"] == "ServiceMonitor":
            checked.append((spec["selector"], services))
        elif one["kind"] == "NetworkPolicy":
            checked.append((spec["podSelector"], everybody))
            peers = [peer for rule in spec.get("ingress", []) for peer in rule.get("from", [])]
            peers += [peer for rule in spec.get("egress", []) for peer in rule.get("to", [])]
            checked += [
                (peer["podSelector"], everybody)
                for peer in peers
                if "podSelector" in peer and "namespaceSelector" not in peer
            ]
        elif one in workloads(objects):
            own = [pod_labels(one)]
            checked += [(spread["labelSelector"], own) for spread in pod_spec(one).get("topologySpreadConstraints", [])]
            if "selector" in spec:
                checked.append((spec["selector"], own))
        problems += [
            f"{title(one)}: {selector} selects nothing"
            for selector, candidates in checked
            if not any(selects(selector, labels) for labels in candidates)
        ]
    return problems


def port_problems(objects: Sequence[Manifest]) -> list[str]:
    """Each named port of a Service, an Ingress or a monitor is one of what it leads to."""
    return [
        f"{title(one)}: port {port!r} is none of {sorted(known)}"
        for one in objects
        for wanted, known in _ports_of(one, objects)
        for port in wanted
        if port not in known
    ]


def reference_problems(objects: Sequence[Manifest]) -> list[str]:
    """Each ConfigMap, Secret, ServiceAccount, claim, PriorityClass, target and backend exists, or is made elsewhere."""
    known = {(one["kind"], one["metadata"]["name"]) for one in objects}
    problems = []
    for one in objects:
        for kind, name, key in _referenced(one):
            if kind == "Secret":
                if name not in OUTSIDE_SECRETS:
                    problems.append(f"{title(one)}: nobody makes the Secret {name!r}")
                elif key is not None and key not in OUTSIDE_SECRETS[name]:
                    problems.append(f"{title(one)}: the Secret {name!r} has no key {key!r}")
            elif kind == "Service" and name in OUTSIDE_SERVICES:
                continue
            elif (kind, name) not in known:
                problems.append(f"{title(one)}: there is no {kind}/{name}")
            elif kind == "ConfigMap" and key is not None and key not in _config_map(objects, name):
                problems.append(f"{title(one)}: ConfigMap/{name} has no key {key!r}")
    return problems


def secret_problems(objects: Sequence[Manifest]) -> list[str]:
    """No value of a secret: no Secret, and no variable with a name like one that has its value here."""
    problems = [f"{title(one)}: values of secrets do not belong here" for one in of_kind(objects, "Secret")]
    for one in workloads(objects):
        for container, _ in containers(one):
            problems += [
                f"{title(one)}: {variable['name']} has its value here"
                for variable in container.get("env", [])
                if "value" in variable and _secret(variable["name"])
            ]
    for one in of_kind(objects, "ConfigMap"):
        problems += [f"{title(one)}: {key} is a secret" for key in one.get("data", {}) if _secret(key)]
    return problems


def namespace_problems(objects: Sequence[Manifest], expected: str) -> list[str]:
    """Everything that lives in a namespace lives in ours."""
    return [
        f"{title(one)} is in namespace {namespace(one)!r}"
        for one in objects
        if one["kind"] not in ("Namespace", "PriorityClass") and namespace(one) != expected
    ]


def _secret(name: str) -> bool:
    return name.upper().endswith(("_TOKEN", "_SECRET", "_KEY", "PASSWORD", "DATABASE_URL"))


def _ports_of(one: Manifest, objects: Sequence[Manifest]) -> Iterator[tuple[list[str], set[str]]]:
    """The ports that an object names, and those of what it leads to."""
    spec = one.get("spec", {})
    pods = [(pod_labels(workload), _ports(workload)) for workload in workloads(objects)]
    services = [(one["metadata"].get("labels", {}), _service_ports(one)) for one in of_kind(objects, "Service")]
    match one["kind"]:
        case "Service":
            selector = {"matchLabels": spec["selector"]}
            wanted, candidates = [port["targetPort"] for port in spec["ports"]], pods
        case "PodMonitor":
            wanted, selector, candidates = (
                [port["port"] for port in spec["podMetricsEndpoints"]],
                spec["selector"],
                pods,
            )
        case "ServiceMonitor":
            wanted, selector, candidates = [port["port"] for port in spec["endpoints"]], spec["selector"], services
        case "Ingress":
            known = {service["metadata"]["name"]: _service_ports(service) for service in of_kind(objects, "Service")}
            for backend in _backends(one):
                yield [backend["port"]["name"]], known.get(backend["name"], {backend["port"]["name"]})
            return
        case _:
            return
    yield from ((wanted, known) for labels, known in candidates if selects(selector, labels))


def _service_ports(service: Manifest) -> set[str]:
    return {port["name"] for port in service["spec"]["ports"]}


def _ports(workload: Manifest) -> set[str]:
    return {port["name"] for container, _ in containers(workload) for port in container.get("ports", [])}


def _backends(ingress: Manifest) -> Iterator[Manifest]:
    for rule in ingress["spec"]["rules"]:
        for path in rule["http"]["paths"]:
            yield path["backend"]["service"]


def _config_map(objects: Sequence[Manifest], name: str) -> Manifest:
    return next(one for one in of_kind(objects, "ConfigMap") if one["metadata"]["name"] == name).get("data", {})


def _referenced(one: Manifest) -> Iterator[tuple[str, str, str | None]]:
    """Kind, name and key of what an object needs."""
    spec = one.get("spec", {})
    if one["kind"] in ("HorizontalPodAutoscaler", "ScaledObject"):
        yield spec["scaleTargetRef"]["kind"], spec["scaleTargetRef"]["name"], None
    elif one["kind"] == "RoleBinding":
        yield one["roleRef"]["kind"], one["roleRef"]["name"], None
        for subject in one["subjects"]:
            yield subject["kind"], subject["name"], None
    elif one["kind"] == "Ingress":
        for backend in _backends(one):
            yield "Service", backend["name"], None
    elif one["kind"] == "ServiceMonitor":
        for endpoint in spec["endpoints"]:
            if credentials := endpoint.get("authorization", {}).get("credentials"):
                yield "Secret", credentials["name"], credentials["key"]
    elif "template" in spec and one["kind"] != "ExternalSecret":
        yield from _of_pod(one)


def _of_pod(workload: Manifest) -> Iterator[tuple[str, str, str | None]]:
    spec = pod_spec(workload)
    yield "ServiceAccount", spec.get("serviceAccountName", "default"), None
    if "priorityClassName" in spec:
        yield "PriorityClass", spec["priorityClassName"], None
    for volume in spec.get("volumes", []):
        for field, kind, key in _VOLUMES:
            if field in volume:
                yield kind, volume[field][key], None
    for container, _ in containers(workload):
        for source in container.get("envFrom", []):
            for field, reference in source.items():
                yield _SOURCES[field], reference["name"], None
        for variable in container.get("env", []):
            for field, reference in variable.get("valueFrom", {}).items():
                if field in _SOURCES:
                    yield _SOURCES[field], reference["name"], reference["key"]
