"""A Kubernetes API of Jobs and their pods over real HTTP, whose containers are processes of this machine.

with Cluster(secrets={"database": {"DATABASE_URL": "…"}}) as cluster:
    launcher = K8sRunLauncher(…, load_incluster_config=False, kubeconfig_file=str(cluster.kubeconfig(folder)))
    cluster.misbehave("503", times=2)
    cluster.delay(5.0)
    cluster.evict(name_of_a_pod)
"""

from tests.doubles.kubernetes.cluster import Cluster, Pod

__all__ = ["Cluster", "Pod"]
