"""What every pod has to have; each function lists what is missing."""

from __future__ import annotations

from tests.kubernetes.rendering import Manifest, containers, pod_spec, title

_GRACE_DEFAULT = 30


def security_problems(one: Manifest) -> list[str]:
    """No root, nothing writable but volumes, no capabilities, a seccomp profile, no token that is not needed."""
    problems, spec = [], pod_spec(one)
    context = spec.get("securityContext", {})
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        problems.append("runs as root, or as whom the image says")
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        problems.append("has no seccomp profile")
    if spec.get("automountServiceAccountToken") is not False:
        problems.append("mounts a token of the Kubernetes API")
    if any(spec.get(name) for name in ("hostNetwork", "hostPID", "hostIPC")):
        problems.append("uses the host's namespaces")
    problems += [
        f"mounts {volume['hostPath']} of the host" for volume in spec.get("volumes", []) if "hostPath" in volume
    ]
    for container, _ in containers(one):
        own = container.get("securityContext", {})
        name = container["name"]
        if own.get("runAsUser", 1) == 0 or own.get("runAsNonRoot") is False or own.get("privileged"):
            problems.append(f"{name} takes root back")
        if own.get("readOnlyRootFilesystem") is not True:
            problems.append(f"{name} can write its image")
        if own.get("allowPrivilegeEscalation") is not False:
            problems.append(f"{name} may gain privileges")
        if own.get("capabilities", {}).get("drop") != ["ALL"] or own["capabilities"].get("add"):
            problems.append(f"{name} keeps capabilities")
    return [f"{title(one)}: {problem}" for problem in problems]


def image_problems(one: Manifest) -> list[str]:
    """Each image has a tag or a digest, and it is not `latest`."""
    problems = []
    for container, _ in containers(one):
        image = container["image"].rsplit("/", 1)[-1]
        tag = image.partition(":")[2]
        if "@sha256:" not in image and tag in ("", "latest"):
            problems.append(f"{title(one)}: {container['name']} runs {container['image']!r}, which can change")
    return problems


def resource_problems(one: Manifest) -> list[str]:
    """Each container says what it needs and what it may take; memory is never overcommitted for what serves."""
    problems = []
    for container, _ in containers(one):
        resources = container.get("resources", {})
        problems += [
            f"{title(one)}: {container['name']} has no {kind} of {what}"
            for kind in ("requests", "limits")
            for what in ("cpu", "memory")
            if what not in resources.get(kind, {})
        ]
    return problems


def probe_problems(one: Manifest) -> list[str]:
    """Who serves a port says when it has started, when it can be asked, and that it is alive."""
    problems = []
    for container, starts in containers(one):
        if starts or not container.get("ports"):
            continue
        names = {port["name"] for port in container["ports"]}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            get = container.get(probe, {}).get("httpGet")
            if get is None:
                problems.append(f"{title(one)}: {container['name']} has no {probe}")
            elif get["port"] not in names:
                problems.append(
                    f"{title(one)}: {probe} of {container['name']} asks port {get['port']!r}, not one of its own"
                )
    return problems


def drain_problems(one: Manifest, seconds: float) -> list[str]:
    """A server waits before it stops, and after that has `seconds` to finish what is open."""
    grace = pod_spec(one).get("terminationGracePeriodSeconds", _GRACE_DEFAULT)
    problems = []
    for container, starts in containers(one):
        if starts:
            continue
        sleep = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        if not sleep:
            problems.append(f"{title(one)}: {container['name']} stops before it is out of its Service: preStop")
        if grace <= sleep + seconds:
            problems.append(
                f"{title(one)}: terminationGracePeriodSeconds is {grace};"
                f" preStop ({sleep}) and what is open ({seconds}) take longer"
            )
    return problems
