"""One cluster: operators, then our own workloads, then what runs in their namespace.

An operator's custom resources have to be known before our manifests name them; our namespace, with its accounts and
policies, has to be there before charts put pods in it. Pods wait for one another by themselves, so that nothing here
waits for a database.
"""

from __future__ import annotations

import pulumi
from environment import NAMESPACE, Chart, Environment
from pulumi_kubernetes.helm.v3 import Release, RepositoryOptsArgs
from pulumi_kubernetes.kustomize.v2 import Directory

config = pulumi.Config("starsearch")
environment = Environment(config.require("environment"), config.get("image"))


def install(chart: Chart, after: list[pulumi.Resource]) -> Release:
    """The chart as a Helm release of its own name."""
    return Release(
        chart.name,
        name=chart.name,
        namespace=chart.namespace,
        create_namespace=chart.namespace != NAMESPACE,
        chart=chart.chart,
        version=chart.version,
        repository_opts=RepositoryOptsArgs(repo=chart.repository),
        values=chart.values,
        allow_null_values=True,
        skip_await=chart.namespace == NAMESPACE,
        timeout=900,
        opts=pulumi.ResourceOptions(depends_on=after),
    )


before: list[pulumi.Resource] = []
for chart in environment.charts(ours=False):
    before = [install(chart, before)]
before = [
    Directory(
        "workloads",
        directory=str(environment.manifests(pulumi.get_stack())),
        skip_await=True,
        opts=pulumi.ResourceOptions(depends_on=before),
    )
]
for chart in environment.charts(ours=True):
    before = [install(chart, before)]

pulumi.export("environment", environment.name)
pulumi.export("image", environment.image)
