"""All values of the chart, in the order in which `values.yaml` has them.

`values.yaml`, `values.schema.json` and the table in the chart's README are written from here by
`python -m deploy.helm.generate`.
"""

from __future__ import annotations

from typing import Final

from dashboards.alerts.catalogue import ALERTS
from deploy.helm.option import (
    DURATION,
    NAME,
    SECRET,
    SECRET_KEY,
    Option,
    Schema,
    Section,
    choice,
    flag,
    length,
    many,
    of_kubernetes,
    texts,
    whole,
    words,
)
from deploy.helm.policy_options import POLICY
from streams.core.policy import WINDOWS

TOPIC: Final = r"^(off|[A-Za-z0-9._-]{1,249})$"
_GROUP: Final[Schema] = {"type": ["integer", "null"], "minimum": 0, "maximum": 2_147_483_647}
_USER: Final[Schema] = {**_GROUP, "minimum": 1}


def _secret(text: str) -> Option:
    return words(text, pattern=SECRET, examples=["", "floorwatch-secrets"])


def _key(text: str, default: str) -> Option:
    return words(text, default, pattern=SECRET_KEY, examples=[default, "of.another_name"])


def _peers(text: str) -> Option:
    return of_kubernetes(
        text,
        kind="array",
        examples=[
            [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
            [{"ipBlock": {"cidr": "10.20.0.0/16"}}],
        ],
    )


def _relabelings(text: str) -> Option:
    return of_kubernetes(
        text,
        kind="array",
        examples=[[{"action": "labeldrop", "regex": "container"}]],
    )


IMAGE: Final = Section(
    text="The image of floorwatch.",
    options={
        "registry": words(
            "Registry with its port; empty for the node's default.",
            pattern=r"^[a-zA-Z0-9.:/-]*$",
            examples=["", "registry.example:5000"],
        ),
        "repository": words(
            "Path in the registry.",
            "floorwatch",
            pattern=r"^[a-z0-9]+([._/-]+[a-z0-9]+)*$",
            examples=["floorwatch", "of/the/floor_1"],
        ),
        "tag": words(
            "Tag; empty for the chart's appVersion.",
            pattern=r"^(\w[\w.-]{0,127})?$",
            examples=["", "0.1.0-slim", "1.10"],
        ),
        "digest": words(
            "Digest, as sha256:...; it wins over the tag, and nobody can move it.",
            pattern=r"^(sha256:[a-f0-9]{64})?$",
            examples=["", "sha256:" + "0123456789abcdef" * 4],
        ),
        "pullPolicy": choice(
            "When the node asks the registry.", "IfNotPresent", "Always", "IfNotPresent", "Never"
        ),
        "pullSecrets": many(
            "Names of the secrets for the registry.",
            {"type": "string", "minLength": 1, "pattern": SECRET},
            examples=[[], ["registry"]],
        ),
    },
)

KAFKA: Final = Section(
    text="Where Kafka is, and how floorwatch says who it is.",
    options={
        "bootstrap": words(
            "Brokers to ask first, HOST:PORT, several separated by commas. Required.",
            pattern=r"^((\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5}"
            r"( *, *(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5})*)?$",
            examples=["kafka:9092", "a.kafka:9093,b.kafka:9094", "[2001:db8::1]:9092"],
        ),
        "securityProtocol": choice(
            "How the brokers' listener is reached.",
            "plaintext",
            *("plaintext", "ssl", "sasl_plaintext", "sasl_ssl"),
        ),
        "sasl": Section(
            text="User and password, with sasl_plaintext or sasl_ssl.",
            options={
                "mechanism": choice(
                    "How the password is proved.",
                    "SCRAM-SHA-512",
                    *("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"),
                ),
                "existingSecret": _secret("Secret with user and password; required with sasl_*."),
                "usernameKey": _key("Its key with the user.", "username"),
                "passwordKey": _key("Its key with the password.", "password"),
            },
        ),
        "tls": Section(
            text="Certificates, with ssl or sasl_ssl.",
            options={
                "caSecret": _secret(
                    "Secret with the brokers' CA; empty trusts the usual public ones."
                ),
                "caKey": _key("Its key with the CA, as PEM.", "ca.crt"),
                "certificateSecret": _secret(
                    "Secret with floorwatch's own certificate, for mutual TLS; empty for none."
                ),
                "certificateKey": _key("Its key with the certificate, as PEM.", "tls.crt"),
                "keyKey": _key("Its key with the private key, as PEM.", "tls.key"),
                "keyPasswordKey": words(
                    "Its key with the private key's password; empty where it has none.",
                    pattern=r"^[-._a-zA-Z0-9]{0,253}$",
                    examples=["", "tls.password"],
                ),
            },
        ),
    },
)

TOPICS_CREATE: Final = Section(
    text="A Job before install and upgrade that creates the topics that are missing; it changes "
    "none that is there.",
    options={
        "enabled": flag("Run it."),
        "partitions": whole(
            "Partitions of each topic of events, chosen once; null takes what `size` says.",
            None,
            *(1, 1000),
            or_none=True,
        ),
        "replicationFactor": whole("Copies of each partition.", 3, 1, 9),
        "minInsyncReplicas": whole("Copies that have to have a record before it counts.", 2, 1, 9),
        "retention": words(
            'How long events are kept: the longest outage to survive, and 7d at least; "off" for '
            "ever.",
            "7d",
            pattern=DURATION.removesuffix("$") + "$|^off$",
            examples=["7d", "14d", "off"],
        ),
        "backoffLimit": whole("How often it is tried again.", 3, 0, 20),
        "activeDeadlineSeconds": whole("When it is given up.", 300, 10, 86_400),
        "ttlSecondsAfterFinished": whole("When what is left of it is removed.", 3600, 0, 604_800),
        "resources": of_kubernetes(
            "Its resources.",
            {
                "requests": {"cpu": "50m", "memory": "128Mi"},
                "limits": {"cpu": "1", "memory": "256Mi"},
            },
            examples=[{"limits": {"memory": "1Gi"}}],
        ),
    },
)

TOPICS: Final = Section(
    text="Topics with the events.",
    options={
        "calls": words(
            'Voice contacts; "off" for none.',
            "calls",
            pattern=TOPIC,
            examples=["calls", "cc.calls"],
        ),
        "chats": words(
            'Chat, messaging and email contacts; "off" for none.',
            "chats",
            pattern=TOPIC,
            examples=["chats", "off"],
        ),
        "queues": words(
            'Queue, agent and source events; "off" for none.',
            "queues",
            pattern=TOPIC,
            examples=["queues", "off"],
        ),
        "create": TOPICS_CREATE,
    },
)

SETTINGS: Final = Section(
    text="Further settings of floorwatch under their own names; a change of them restarts the "
    "workers, one after the other. Meaning: deploy/floorwatch.example.yaml.",
    options={
        "clock": choice('What "now" means; `event` is for recordings.', "wall", "wall", "event"),
        "session_timeout": length(
            "How long a worker may be silent before its partitions go to another; 6s to 30m.",
            "20s",
            examples=["6s", "5m"],
        ),
        "snapshot_every": length(
            "How often state is kept on NAME.state; 1s or more.", "5s", examples=["10s"]
        ),
        "allowed_lateness": length(
            "How late an event may come and still count.", "4h", examples=["1h30m", "0s"]
        ),
        "rest": length(
            "How long after its last event a contact is over for good.", "4h", examples=["1h"]
        ),
        "tick": words(
            "Step of the rolling windows: a whole number of times in 5m.",
            "5s",
            pattern="^(1|2|3|4|5|6|10|12|15|20|30|60)s$",
            examples=["5s", "10s", "60s"],
        ),
        "max_events_per_contact": whole("Events kept of one contact.", 512, 16, 100_000),
        "max_record_bytes": whole("Longest record that is read.", 262_144, 1024, 67_108_864),
        "max_contacts": whole(
            "Contacts of one partition remembered at a time.", 1_000_000, 1, 100_000_000
        ),
        "max_queues": whole("(queue, channel) pairs with series of their own.", 2000, 1, 100_000),
        "metric_windows": many(
            "Windows on /metrics; the alerts read 15m, 60m and day.",
            {"enum": list(WINDOWS)},
            ["15m", "60m", "day"],
            minItems=1,
            uniqueItems=True,
        ),
        "alertmanager": words(
            'Alertmanager whose alerts the wall shows, as http://HOST:9093; "off" for none.',
            "off",
            pattern=r"^(off|https?://[^\s/@?#]+(/[^\s?#]*)?(\?[^\s#]*)?)$",
            examples=["off", "http://alertmanager-operated.monitoring:9093"],
        ),
        "sources": Option(
            text="Producing systems that are expected to be heard, as {pbx: {interval: 30s}}.",
            default={},
            schema={
                "type": "object",
                "propertyNames": {"minLength": 1},
                "additionalProperties": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["interval"],
                    "properties": {
                        "interval": {"type": "string", "pattern": r"^[1-9]\d*(ms|s|m|h|d)$"}
                    },
                },
                "examples": [{}, {"pbx-berlin": {"interval": "30s"}}],
            },
        ),
    },
)

HTTP: Final = Section(
    text="Wall, API and metrics.",
    options={
        "host": choice(
            "Address that is listened on; `::` where pods have IPv6 addresses alone.",
            "0.0.0.0",  # noqa: S104 # behind a NetworkPolicy
            *("0.0.0.0", "::"),  # noqa: S104 # the same
        ),
        "frameAncestors": words(
            "Pages that may embed the wall: none, or self and origins as https://HOST.",
            "none",
            pattern=r"^(none|(self|https?://(\*\.)?[A-Za-z0-9.-]+(:(\d{1,5}|\*))?)"
            r"( (self|https?://(\*\.)?[A-Za-z0-9.-]+(:(\d{1,5}|\*))?))*)$",
            examples=["none", "self https://intranet.example"],
        ),
        "tokens": Section(
            text="Who may look. A surface without a token is open to whoever reaches it.",
            options={
                "existingSecret": _secret("Secret with the tokens; required once one is on."),
                "wall": flag("The wall asks for a token."),
                "api": flag("The API asks for a token."),
                "metrics": flag("/metrics asks for a token, and the monitors send it."),
                "wallKey": _key("Its key with the wall's tokens, one a line.", "wall-token"),
                "apiKey": _key("Its key with the API's tokens, one a line.", "api-token"),
                "metricsKey": _key("Its key with the tokens of /metrics.", "metrics-token"),
                "scrapeKey": words(
                    "Its key with the one token that Prometheus sends; empty for `metricsKey`, "
                    "which is then of one line.",
                    pattern=r"^[-._a-zA-Z0-9]{0,253}$",
                    examples=["", "scrape-token"],
                ),
            },
        ),
        "tls": Section(
            text="HTTPS in the pod itself.",
            options={
                "existingSecret": _secret("Secret with certificate and key; empty for HTTP."),
                "certificateKey": _key("Its key with the certificate, as PEM.", "tls.crt"),
                "keyKey": _key("Its key with the private key, as PEM.", "tls.key"),
            },
        ),
    },
)

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
            "How long a worker may take to stop; it needs up to 10.", 30, 15, 3600
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

SERVICE: Final = Section(
    text="The Service of wall, API and metrics. Pods that are not ready yet are in it, and say so.",
    options={
        "type": choice("How it is reached.", "ClusterIP", "ClusterIP", "NodePort", "LoadBalancer"),
        "port": whole("Its port.", 6066, 1, 65_535),
        "nodePort": whole(
            "With NodePort or LoadBalancer; null for any.", None, 1, 65_535, or_none=True
        ),
        "labels": texts("Its labels."),
        "annotations": texts("Its annotations."),
        "clusterIP": words("Its address; empty for any.", examples=["", "10.0.0.66"]),
        "ipFamilyPolicy": choice(
            "Address families; empty for the cluster's default.",
            "",
            *("", "SingleStack", "PreferDualStack", "RequireDualStack"),
        ),
        "ipFamilies": many(
            "IPv4, IPv6 or both, the preferred one first.",
            {"enum": ["IPv4", "IPv6"]},
            examples=[[], ["IPv6"], ["IPv4", "IPv6"]],
            uniqueItems=True,
            maxItems=2,
        ),
        "loadBalancerClass": words("With LoadBalancer.", examples=["", "example.org/lb"]),
        "loadBalancerSourceRanges": many(
            "Who may reach the LoadBalancer.", {"type": "string"}, examples=[[], ["192.0.2.0/24"]]
        ),
        "externalTrafficPolicy": choice(
            "With NodePort or LoadBalancer; empty for Kubernetes' default.",
            "",
            *("", "Cluster", "Local"),
        ),
        "internalTrafficPolicy": choice(
            "Empty for Kubernetes' default.", "", *("", "Cluster", "Local")
        ),
        "sessionAffinity": choice(
            "ClientIP keeps a screen at one worker while it lives; all show the same floor.",
            "None",
            *("None", "ClientIP"),
        ),
    },
)

INGRESS: Final = Section(
    text="The wall from outside. It shows how the floor does to whoever gets in: ask for a token "
    "(http.tokens.wall) or let the ingress ask who comes.",
    options={
        "enabled": flag("Make one."),
        "className": words("Its class.", examples=["", "nginx"]),
        "labels": texts("Its labels."),
        "annotations": texts(
            "Its annotations: no buffering and a read timeout over 1m for the live stream, and "
            "who may come in."
        ),
        "hosts": many(
            "Host names and paths.",
            {
                "type": "object",
                "additionalProperties": False,
                "required": ["host"],
                "properties": {
                    "host": {"type": "string", "minLength": 1},
                    "path": {"type": "string", "pattern": "^/"},
                    "pathType": {"enum": ["Prefix", "Exact", "ImplementationSpecific"]},
                },
            },
            examples=[[{"host": "wall.example"}], [{"host": "a.example", "path": "/"}]],
        ),
        "tls": of_kubernetes(
            "Certificates of the hosts.",
            kind="array",
            examples=[[{"secretName": "wall-tls", "hosts": ["wall.example"]}]],
        ),
    },
)

PDB: Final = Section(
    text="How many workers may be away at a time for maintenance of nodes.",
    options={
        "enabled": flag("Make a PodDisruptionBudget.", True),
        "maxUnavailable": Option(
            text="A number or a percentage.",
            default=1,
            schema={
                "anyOf": [
                    {"type": "integer", "minimum": 0},
                    {"type": "string", "pattern": r"^\d{1,2}%$|^100%$"},
                ],
                "examples": [1, 2, "34%"],
            },
        ),
        "unhealthyPodEvictionPolicy": choice(
            "Whether a pod that is not ready anyway may always be evicted.",
            "AlwaysAllow",
            *("AlwaysAllow", "IfHealthyBudget"),
        ),
    },
)

NETWORK_POLICY: Final = Section(
    text="Who may reach the pods and whom they reach: in on the one port, out to DNS and Kafka.",
    options={
        "enabled": flag("Make one.", True),
        "ingressFrom": _peers("Who may reach wall, API and metrics; empty for everyone."),
        "extraIngress": of_kubernetes(
            "Further rules for what comes in.",
            kind="array",
            examples=[[{"ports": [{"port": 9000}]}]],
        ),
        "kafkaTo": _peers("Where the brokers are; empty for any address."),
        "kafkaPorts": many(
            "Ports of the brokers, where those that they advertise are not kafka.bootstrap's.",
            {"type": "integer", "minimum": 1, "maximum": 65_535},
            examples=[[], [9094, 9095]],
            uniqueItems=True,
        ),
        "dnsTo": _peers("Where DNS is; empty for any address."),
        "dnsPorts": many(
            "Ports of DNS, UDP and TCP.",
            {"type": "integer", "minimum": 1, "maximum": 65_535},
            [53],
            examples=[[53], [53, 5353]],
            minItems=1,
            uniqueItems=True,
        ),
        "alertmanagerTo": _peers(
            "Where settings.alertmanager is; empty for any address, on the port of its address."
        ),
        "extraEgress": of_kubernetes(
            "Further rules for what goes out.",
            kind="array",
            examples=[[{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}], "ports": [{"port": 443}]}]],
        ),
    },
)


def _monitor(kind: str, more: str) -> Section:
    return Section(
        text=f"A {kind} of the Prometheus operator. {more}",
        options={
            "enabled": flag("Make one."),
            "namespace": words(
                "Its namespace; empty for the release's.", pattern=NAME, examples=["", "monitoring"]
            ),
            "labels": texts(
                "Its labels; kube-prometheus-stack takes those with `release: NAME` alone unless "
                "told otherwise."
            ),
            "annotations": texts("Its annotations."),
            "interval": words(
                "How often. Alerts and boards are made for 5s, and need 30s or less.",
                "5s",
                pattern=r"^([1-9]|[12]\d|30)s$",
                examples=["5s", "30s"],
            ),
            "scrapeTimeout": words(
                "How long one may take; at most the interval.",
                "5s",
                pattern=r"^([1-9]|[12]\d|30)s$",
                examples=["1s", "5s"],
            ),
            "sampleLimit": whole(
                "Most samples of a pod; null is what settings.max_queues allows, 0 no limit.",
                None,
                *(0, 100_000_000),
                or_none=True,
            ),
            "labelLimit": whole("Most labels of a series; 0 for no limit.", 30, 0, 1000),
            "labelNameLengthLimit": whole(
                "Longest name of a label; 0 for no limit.", 64, 0, 10_000
            ),
            "labelValueLengthLimit": whole(
                "Longest value of a label; 0 for no limit.", 512, 0, 100_000
            ),
            "relabelings": _relabelings("Further relabelings of the target."),
            "metricRelabelings": _relabelings("Relabelings of its series."),
            "tlsConfig": of_kubernetes(
                "How the pod's certificate is checked, with http.tls.",
                examples=[{"insecureSkipVerify": True}],
            ),
            "scrapeClass": words("Scrape class.", examples=["", "tls"]),
        },
    )


SERVICE_MONITOR: Final = _monitor("ServiceMonitor", "One of both kinds is enough.")
POD_MONITOR: Final = _monitor("PodMonitor", "In place of the ServiceMonitor.")

PROMETHEUS_RULE: Final = Section(
    text="The alerts, which are tested with floorwatch, as a PrometheusRule. Their limits are data "
    "of the policy: a change of it needs no new rules.",
    options={
        "enabled": flag("Make one."),
        "namespace": words(
            "Its namespace; empty for the release's.", pattern=NAME, examples=["", "monitoring"]
        ),
        "labels": texts("Its labels; kube-prometheus-stack wants `release: NAME`."),
        "annotations": texts("Its annotations."),
        "scope": choice(
            "`release` watches this release alone, `everything` each floorwatch that Prometheus "
            "has, so that one of several releases brings the rules.",
            "release",
            *("release", "everything"),
        ),
        "job": words(
            "Label `job` of the workers in Prometheus, with scope `release`; empty for what the "
            "monitors here set.",
            pattern=r"^[^\"\\\x00-\x1f]*$",
            examples=["", "floorwatch"],
        ),
        "matchers": many(
            'Further matchers of every series, in PromQL, as cluster="eu".',
            {
                "type": "string",
                "pattern": r"^[a-zA-Z_][a-zA-Z0-9_]*(=|!=|=~|!~)\"[^\"\\\x00-\x1f]*\"$",
            },
            examples=[[], ['cluster="eu"'], ['cluster=~"eu|us"', 'env!="test"']],
        ),
        "disabled": many(
            "Names of alerts that are left out.",
            {"enum": [alert.name for alert in ALERTS]},
            examples=[[], ["FloorwatchNoArrivals", "FloorwatchWatchdog"]],
            uniqueItems=True,
        ),
        "recordings": flag("The recorded figures, which no alert reads, too.", True),
        "alertLabels": texts("Further labels of every alert."),
        "alertAnnotations": texts("Further annotations of every alert."),
        "runbooksUrl": words(
            "Address of a folder with dashboards/alerts/runbooks; empty for no links.",
            pattern=r"^(https?://[^\s]+)?$",
            examples=["", "https://runbooks.example/floorwatch"],
        ),
        "grafanaUrl": words(
            "Address of the Grafana with the dashboards; empty for no links.",
            pattern=r"^(https?://[^\s]+)?$",
            examples=["", "https://grafana.example"],
        ),
    },
)

DASHBOARDS: Final = Section(
    text="The Grafana boards, a ConfigMap each, for the sidecar of Grafana's chart.",
    options={
        "enabled": flag("Make them."),
        "namespace": words(
            "Their namespace; empty for the release's.", pattern=NAME, examples=["", "monitoring"]
        ),
        "labels": texts("Labels that the sidecar looks for.", {"grafana_dashboard": "1"}),
        "annotations": texts(
            "Annotations; the sidecar's folder annotation by default.",
            {"grafana_folder": "floorwatch"},
        ),
    },
)

_RECEIVER: Final[Schema] = {
    "type": "object",
    "properties": {"name": False},
    "examples": [
        {"webhookConfigs": [{"url": "http://pager.example:9095/", "sendResolved": True}]},
    ],
}


def _receiver(text: str) -> Option:
    return Option(text=text, default={}, schema=_RECEIVER)


ALERTMANAGER_CONFIG: Final = Section(
    text="Routes and inhibitions of the alerts as an AlertmanagerConfig, whose receivers are yours.",
    options={
        "enabled": flag("Make one."),
        "namespace": words(
            "Its namespace; empty for the release's.", pattern=NAME, examples=["", "monitoring"]
        ),
        "labels": texts("Its labels, which the Alertmanager selects it by."),
        "annotations": texts("Its annotations."),
        "receivers": Section(
            text="Who is told, each as a receiver of an AlertmanagerConfig without its name; an "
            "empty one tells nobody.",
            options={
                "dutyManager": _receiver("Pages of the floor. Required."),
                "sre": _receiver("Pages about floorwatch itself. Required."),
                "sreTickets": _receiver("Tickets about floorwatch itself."),
                "watchdog": _receiver("Who notices that nothing comes any more."),
                "boards": _receiver("Warnings of the floor, which the boards show anyway."),
            },
        ),
    },
)

TEST: Final = Section(
    text="What `helm test` runs: floorwatch's own check, as a pod.",
    options={
        "enabled": flag("Have one.", True),
        "resources": of_kubernetes(
            "Its resources.",
            {
                "requests": {"cpu": "50m", "memory": "128Mi"},
                "limits": {"cpu": "1", "memory": "512Mi"},
            },
            examples=[{"limits": {"memory": "1Gi"}}],
        ),
    },
)

ROOT: Final = Section(
    text="Values of the floorwatch chart.",
    options={
        "nameOverride": words(
            "In place of the chart's name in names.",
            pattern=NAME,
            max_length=40,
            examples=["", "wallboard"],
        ),
        "fullnameOverride": words(
            "In place of release and chart in names.",
            pattern=NAME,
            max_length=50,
            examples=["", "floor-of-berlin"],
        ),
        "namespaceOverride": words(
            "In place of the release's namespace.", pattern=NAME, examples=["", "floor"]
        ),
        "commonLabels": texts("Labels of everything."),
        "commonAnnotations": texts("Annotations of everything."),
        "name": words(
            "Name of the installation: it prefixes the consumer group, floorwatch's own topics and "
            "the dashboards' ids, so it stays. Empty for the release's full name; two releases that "
            "share a Kafka need two.",
            pattern=r"^([a-z0-9][a-z0-9_-]{0,29})?$",
            examples=["", "floorwatch", "berlin_2"],
        ),
        "size": choice(
            "Workers, resources and partitions by deploy/SIZING.md: small for 100 agents, medium for "
            "10,000, large for 100,000.",
            "small",
            *("small", "medium", "large"),
        ),
        "image": IMAGE,
        "kafka": KAFKA,
        "topics": TOPICS,
        "policy": POLICY,
        "existingPolicy": words(
            "ConfigMap with the policy under policy.yaml, in place of `policy`.",
            pattern=SECRET,
            examples=["", "floor-policy"],
        ),
        "settings": SETTINGS,
        "http": HTTP,
        "workers": WORKERS,
        "security": SECURITY,
        "probes": PROBES,
        "scheduling": SCHEDULING,
        "serviceAccount": SERVICE_ACCOUNT,
        "service": SERVICE,
        "ingress": INGRESS,
        "podDisruptionBudget": PDB,
        "networkPolicy": NETWORK_POLICY,
        "serviceMonitor": SERVICE_MONITOR,
        "podMonitor": POD_MONITOR,
        "prometheusRule": PROMETHEUS_RULE,
        "dashboards": DASHBOARDS,
        "alertmanagerConfig": ALERTMANAGER_CONFIG,
        "test": TEST,
        "extraDeploy": Option(
            text="Further objects, as mappings or as templates.",
            default=[],
            schema={
                "type": "array",
                "items": {"type": ["object", "string"]},
                "examples": [
                    [],
                    [
                        {
                            "apiVersion": "v1",
                            "kind": "ConfigMap",
                            "metadata": {"name": "more"},
                            "data": {"of": "{{ .Release.Name }}"},
                        }
                    ],
                ],
            },
        ),
        "global": Option(
            text="What a chart around this one says to all: `imageRegistry`, `imagePullSecrets`.",
            default={},
            schema={
                "type": "object",
                "properties": {
                    "imageRegistry": {"type": ["string", "null"]},
                    "imagePullSecrets": {"type": ["array", "null"]},
                },
                "examples": [{}, {"imageRegistry": "registry.example:5000"}],
            },
        ),
    },
)
