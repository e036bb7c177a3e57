"""Who reaches the workers, and whom they reach."""

from __future__ import annotations

from typing import Final

from deploy.helm.option import (
    Option,
    Section,
    choice,
    flag,
    many,
    of_kubernetes,
    texts,
    whole,
    words,
)


def _peers(text: str) -> Option:
    return of_kubernetes(
        text,
        kind="array",
        examples=[
            [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
            [{"ipBlock": {"cidr": "10.20.0.0/16"}}],
        ],
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
            "Its annotations: no buffering and a read timeout over 1m for the live stream, who "
            "may come in, and with http.tls that the pods speak HTTPS, as in ingress-nginx "
            "nginx.ingress.kubernetes.io/backend-protocol: HTTPS."
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
