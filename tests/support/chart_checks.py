"""What holds of the chart's objects whatever the values: asked of every set that tests render."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from tests.support import kubernetes_schemas, monitoring_checks, network_checks, pod_checks
from tests.support.chart_rendering import Rendering


def complaints(rendering: Rendering) -> list[str]:
    """What does not hold, a line each."""
    said: list[str] = []
    for check in CHECKS:
        try:
            said += [
                f"{check.__name__.removeprefix('check_')}: {each}" for each in check(rendering)
            ]
        except (AssertionError, KeyError, IndexError, TypeError, ValueError) as missing:
            said.append(
                f"{check.__name__.removeprefix('check_')}: {type(missing).__name__} {missing}"
            )
    return said


def check_schemas(rendering: Rendering) -> Iterator[str]:
    for each in rendering.objects:
        yield from kubernetes_schemas.complaints(each)


def check_topics(rendering: Rendering) -> Iterator[str]:
    create = rendering.values["topics"]["create"]
    jobs = rendering.jobs("topics")
    if len(jobs) != create["enabled"]:
        yield f"{len(jobs)} jobs"
    for job in jobs:
        sizes = {"small": 8, "medium": 32, "large": 256}
        partitions = create["partitions"]
        wanted = [
            "create-topics",
            f"--partitions={sizes[rendering.values['size']] if partitions is None else partitions}",
            f"--replication-factor={create['replicationFactor']}",
            f"--min-insync-replicas={create['minInsyncReplicas']}",
            f"--retention={create['retention']}",
        ]
        if rendering.container("topics")["args"] != wanted:
            yield f"it runs {rendering.container('topics')['args']}"
        if job["spec"]["template"]["spec"]["restartPolicy"] != "Never":
            yield "restartPolicy"
        _, worker = rendering.settings("worker")
        _, own = rendering.settings("topics")
        if own != {key: worker[key] for key in own} or not {"bootstrap", "name"} <= own.keys():
            yield "it would make the topics of another installation"


def check_precheck(rendering: Rendering) -> Iterator[str]:
    values = rendering.values
    jobs = rendering.jobs("precheck")
    if len(jobs) != values["precheck"]["enabled"]:
        yield f"{len(jobs)} jobs"
    if len(jobs) + values["topics"]["create"]["enabled"] != len(rendering.all("Job")):
        yield "a job that nobody wanted"
    for job in jobs:
        if rendering.container("precheck")["args"] != ["check", "--offline"]:
            yield f"it runs {rendering.container('precheck')['args']}"
        if job["spec"]["template"]["spec"]["restartPolicy"] != "Never":
            yield "restartPolicy"
        _, worker = rendering.settings("worker")
        _, own = rendering.settings("precheck")
        if own != {key: worker[key] for key in own} or not values["settings"].keys() <= own.keys():
            yield "it reads other settings than the workers"
        if values["existingPolicy"]:
            continue
        of_hook, of_workers = (
            rendering.named("ConfigMap", f"{rendering.fullname}-{name}")
            for name in ("precheck", "policy")
        )
        assert of_hook is not None
        assert of_workers is not None
        if of_hook["data"]["policy.yaml"] != of_workers["data"]["policy.yaml"]:
            yield "it reads another policy than the workers"
        if own["policy_file"] != worker["policy_file"]:
            yield "it reads no policy"


def check_test(rendering: Rendering) -> Iterator[str]:
    pods = rendering.all("Pod")
    if len(pods) != rendering.values["test"]["enabled"]:
        yield f"{len(pods)} tests"
    for pod in pods:
        if pod["metadata"]["annotations"]["helm.sh/hook"] != "test":
            yield "a pod that is no test"
        if rendering.container("test")["args"] != _wanted_check(rendering):
            yield f"it runs {rendering.container('test')['args']}"
        if pod["spec"]["restartPolicy"] != "Never":
            yield "restartPolicy"


def _wanted_check(rendering: Rendering) -> list[str]:
    values, secrets = rendering.values, "/etc/floorwatch/secrets"
    scheme = "https" if values["http"]["tls"]["existingSecret"] else "http"
    host, port = f"{rendering.fullname}.{rendering.namespace}", values["service"]["port"]
    wanted = ["check", f"--worker={scheme}://{host}:{port}"]
    if values["http"]["tokens"]["metrics"]:
        wanted.append(f"--worker-token-file={secrets}/metrics-token")
    if scheme == "https":
        wanted.append(f"--worker-certificate={secrets}/http-tls.crt")
    return wanted


CHECKS: Final[tuple[Callable[[Rendering], Iterator[str]], ...]] = (
    check_schemas,
    pod_checks.check_names,
    pod_checks.check_pods,
    pod_checks.check_volumes,
    pod_checks.check_settings,
    pod_checks.check_workload,
    pod_checks.check_probes,
    network_checks.check_services,
    network_checks.check_budgets,
    network_checks.check_network,
    monitoring_checks.check_monitors,
    check_topics,
    check_precheck,
    check_test,
    monitoring_checks.check_marks,
    monitoring_checks.check_rules,
    monitoring_checks.check_dashboards,
    monitoring_checks.check_routes,
)
