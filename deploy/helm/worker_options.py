"""How the workers run: pods, security, probes, where."""

from __future__ import annotations

from typing import Final

from deploy.helm.option import (
    NAME,
    Option,
    Schema,
    Section,
    choice,
    flag,
    many,
    of_kubernetes,
    texts,
    whole,
    words,
)

_GROUP: Final[Schema] = {"type": ["integer", "null"], "minimum": 0, "maximum": 2_147_483_647}
_USER: Final[Schema] = {**_GROUP, "minimum": 1}


WORKERS: Final = Section(
    text="The workers.",
    options={
        "replicas": whole(
            "How many; null takes what `size` says. More than partitions of a topic are idle.",
            None,
            *(0, 1000),
            or_none=True,
        ),
        "resources": of_kubernetes(
            "Resources; empty takes what `size` says.",
            examples=[
                {
                    "requests": {"cpu": "250m", "memory": "2Gi"},
                    "limits": {"memory": "2Gi"},
                }
            ],
        ),
        "rebuild": flag(
            "Begin with the topics' first record whatever state was kept, at every start: on for "
            "one upgrade."
        ),
        "acceptPartitions": whole(
            "Number of partitions that a topic may have been changed to; null for none.",
            None,
            *(1, 10_000),
            or_none=True,
        ),
        "terminationGracePeriodSeconds": whole(
            "Seconds that a worker may take to stop; it needs up to 10.", 30, 15, 3600
        ),
        "updateStrategy": of_kubernetes(
            "How an upgrade goes; partition: N holds it back for pods below N.",
            {"type": "RollingUpdate"},
            examples=[
                {"type": "OnDelete"},
                {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}},
            ],
        ),
        "minReadySeconds": whole(
            "How long a pod is ready before the next one is stopped.", 10, 0, 3600
        ),
        "revisionHistoryLimit": whole("Revisions that are kept.", 10, 0, 100),
        "persistentIdentity": flag(
            "Static membership by the pod's name: a worker that is back in time finds its "
            "partitions waiting.",
            True,
        ),
        "labels": texts("Further labels of the StatefulSet."),
        "annotations": texts("Further annotations of the StatefulSet."),
        "podLabels": texts("Further labels of the pods."),
        "podAnnotations": texts("Further annotations of the pods."),
        "extraArgs": many(
            "Further arguments of `floorwatch worker`.",
            {"type": "string"},
            examples=[[], ["--bootstrap=kafka:9092"]],
        ),
        "extraEnv": of_kubernetes(
            "Further variables of the environment.",
            kind="array",
            examples=[[{"name": "TZ", "value": "UTC"}]],
        ),
        "extraEnvFrom": of_kubernetes(
            "ConfigMaps and Secrets with further variables.",
            kind="array",
            examples=[[{"secretRef": {"name": "more"}}]],
        ),
        "extraVolumes": of_kubernetes(
            "Further volumes.",
            kind="array",
            examples=[[{"name": "more", "configMap": {"name": "more"}}]],
        ),
        "extraVolumeMounts": of_kubernetes(
            "Where they are mounted.",
            kind="array",
            examples=[[{"name": "more", "mountPath": "/more", "readOnly": True}]],
        ),
        "extraContainers": of_kubernetes(
            "Further containers of the pod; where Pod Security says restricted, they obey too.",
            kind="array",
            examples=[],
        ),
        "initContainers": of_kubernetes(
            "Containers before it; the same holds for them.", kind="array", examples=[]
        ),
        "lifecycle": of_kubernetes(
            "Hooks of the container.", examples=[{"preStop": {"exec": {"command": ["true"]}}}]
        ),
        "tmpSizeLimit": words(
            "Size of /tmp, the one place that can be written.",
            "64Mi",
            pattern=r"^\d+(Ki|Mi|Gi)$",
            examples=["64Mi", "1Gi"],
        ),
    },
)

SECURITY: Final = Section(
    text="Who the pods run as. What Pod Security calls restricted is not a value: it always holds.",
    options={
        "runAsUser": Option(
            text="User id; null leaves it to the platform, as OpenShift wants.",
            default=10001,
            schema=_USER,
        ),
        "runAsGroup": Option(text="Group id; null likewise.", default=10001, schema=_GROUP),
        "fsGroup": Option(
            text="Group of the mounted secrets; null likewise.", default=10001, schema=_GROUP
        ),
        "supplementalGroups": many(
            "Further groups.", {"type": "integer", "minimum": 1}, examples=[[], [2000]]
        ),
        "seLinuxOptions": of_kubernetes("SELinux's labels.", examples=[{"level": "s0:c123,c456"}]),
    },
)


def _probe(text: str, period: int, timeout: int, failures: int) -> Section:
    return Section(
        text=text,
        options={
            "periodSeconds": whole("How often.", period, 1, 600),
            "timeoutSeconds": whole("How long one may take.", timeout, 1, 600),
            "failureThreshold": whole("How many in a row mean it.", failures, 1, 10_000),
        },
    )


PROBES: Final = Section(
    text="Whether a worker lives (its loop goes on and, while the broker answers, so does its "
    "reading) and is ready (it has caught up once; lag is shown, not hidden).",
    options={
        "startup": _probe("Until it listens.", 2, 5, 90),
        "liveness": _probe("Else it is started anew, which loses nothing.", 10, 5, 3),
        "readiness": _probe("Until then upgrades wait.", 5, 5, 3),
    },
)

SCHEDULING: Final = Section(
    text="Where the pods run.",
    options={
        "spreadOverZones": choice(
            "Spread them over zones.",
            "ScheduleAnyway",
            *("ScheduleAnyway", "DoNotSchedule", "off"),
        ),
        "spreadOverNodes": choice(
            "Spread them over nodes.",
            "ScheduleAnyway",
            *("ScheduleAnyway", "DoNotSchedule", "off"),
        ),
        "topologySpreadConstraints": of_kubernetes(
            "In place of both.",
            kind="array",
            examples=[
                [
                    {
                        "maxSkew": 2,
                        "topologyKey": "rack",
                        "whenUnsatisfiable": "DoNotSchedule",
                        "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "floorwatch"}},
                    }
                ]
            ],
        ),
        "nodeSelector": of_kubernetes(
            "Labels that a node has to have.", examples=[{"kubernetes.io/arch": "amd64"}]
        ),
        "tolerations": of_kubernetes(
            "Taints that are put up with.",
            kind="array",
            examples=[[{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}]],
        ),
        "affinity": of_kubernetes(
            "Affinities.",
            examples=[
                {
                    "podAntiAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": [
                            {
                                "topologyKey": "kubernetes.io/hostname",
                                "labelSelector": {
                                    "matchLabels": {"app.kubernetes.io/name": "floorwatch"}
                                },
                            }
                        ]
                    }
                }
            ],
        ),
        "priorityClassName": words("Priority class.", examples=["", "high"]),
        "runtimeClassName": words("Runtime class.", examples=["", "gvisor"]),
        "schedulerName": words("Scheduler.", examples=["", "other"]),
        "hostAliases": of_kubernetes(
            "Names for addresses, where DNS has none.",
            kind="array",
            examples=[[{"ip": "192.0.2.1", "hostnames": ["kafka.example"]}]],
        ),
        "dnsPolicy": choice(
            "Whom names are asked of.",
            "ClusterFirst",
            *("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
        ),
        "dnsConfig": of_kubernetes(
            "How names are asked for.", examples=[{"options": [{"name": "ndots", "value": "1"}]}]
        ),
    },
)

SERVICE_ACCOUNT: Final = Section(
    text="The pods' account; floorwatch never speaks to Kubernetes, so its token is not mounted.",
    options={
        "create": flag("Make one.", True),
        "name": words("Its name; empty for the release's.", pattern=NAME, examples=["", "own"]),
        "annotations": texts("Its annotations."),
    },
)
