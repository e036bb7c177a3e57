"""What somebody could break in the chart by a slip: each is caught, or no check is worth much."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Mutant:
    """A template with a slip in it.

    Attributes:
        name: what is wrong then.
        file: of the chart.
        old: what stands there; at its first place, or everywhere with *everywhere*.
        new: what stands there then.
    """

    name: str
    file: str
    old: str
    new: str = ""
    everywhere: bool = False

    def put_into(self, chart: Path) -> None:
        """Change the copy *chart*."""
        file = chart / self.file
        text = file.read_text(encoding="utf-8")
        assert self.old in text, f"{self.name}: {self.file} has no {self.old!r}"
        count = -1 if self.everywhere else 1
        file.write_text(text.replace(self.old, self.new, count), encoding="utf-8")


_STATEFUL: Final = "templates/statefulset.yaml"
_POD: Final = "templates/_pod.tpl"
_SERVICES: Final = "templates/services.yaml"
_NETWORK: Final = "templates/networkpolicies.yaml"
_EGRESS: Final = "templates/_network.tpl"
_SETTINGS: Final = "templates/_settings.tpl"
_MONITOR: Final = "templates/_monitor.tpl"
_HOOK: Final = "templates/topics-hook.yaml"
_PRECHECK: Final = "templates/precheck-hook.yaml"
_CHECK: Final = "templates/tests/check.yaml"
_NAMES: Final = "templates/_names.tpl"
_RULES: Final = "templates/prometheusrule.yaml"

MUTANTS: Final = (
    # -- probes --
    *(
        Mutant(f"no {probe} probe", _STATEFUL, f'"{probe}" "{path}" ')
        for probe, path in (("startup", "/healthz"), ("liveness", "/healthz"))
    ),
    Mutant("no readiness probe", _STATEFUL, ' "readiness" "/readyz"'),
    Mutant(
        "ready as soon as it lives", _STATEFUL, '"readiness" "/readyz"', '"readiness" "/healthz"'
    ),
    Mutant(
        "restarted while it catches up", _STATEFUL, '"liveness" "/healthz"', '"liveness" "/readyz"'
    ),
    Mutant(
        "probes in the clear of a port with TLS", _STATEFUL, "scheme: {{ $scheme }}", "scheme: HTTP"
    ),
    Mutant("the port has another name", _STATEFUL, "- name: http\n", "- name: web\n"),
    # -- security --
    Mutant("privilege escalation", _POD, "allowPrivilegeEscalation: false\n"),
    Mutant("capabilities kept", _POD, "capabilities:\n  drop: [ALL]\n"),
    Mutant("privileged not denied", _POD, "privileged: false\n"),
    Mutant("files of the image writable", _POD, "readOnlyRootFilesystem: true\n"),
    Mutant("root not denied by the pod", _POD, "runAsNonRoot: true\n{{- range", "{{- range"),
    Mutant(
        "root not denied by the container",
        _POD,
        "readOnlyRootFilesystem: true\nrunAsNonRoot: true\n",
        "readOnlyRootFilesystem: true\n",
    ),
    Mutant(
        "no seccomp profile", _POD, "seccompProfile:\n  type: RuntimeDefault\n", everywhere=True
    ),
    Mutant("unconfined", _POD, "type: RuntimeDefault", "type: Unconfined", everywhere=True),
    Mutant("the user of the image", _POD, '"runAsUser" '),
    Mutant("secrets of another group", _POD, ' "fsGroup" }}', " }}"),
    Mutant("secrets for everybody", _POD, "defaultMode: 0440", "defaultMode: 0444"),
    Mutant("the account's token in the pod", _POD, "automountServiceAccountToken: false\n"),
    Mutant(
        "the account's token by itself",
        "templates/serviceaccount.yaml",
        "automountServiceAccountToken: false\n",
    ),
    Mutant("services as variables", _POD, "enableServiceLinks: false\n"),
    Mutant(
        "a volume of the node",
        _POD,
        "  emptyDir:\n    sizeLimit: {{ $root.Values.workers.tmpSizeLimit }}",
        "  hostPath: {path: /tmp}",
    ),
    Mutant(
        "temporary files without an end",
        _POD,
        "  emptyDir:\n    sizeLimit: {{ $root.Values.workers.tmpSizeLimit }}",
        "  emptyDir: {}",
    ),
    Mutant(
        "the hook without a security context",
        _HOOK,
        "          securityContext:\n"
        '            {{- include "floorwatch.securityContext" . | nindent 12 }}\n',
    ),
    Mutant(
        "the test without a security context",
        _CHECK,
        "      securityContext:\n"
        '        {{- include "floorwatch.securityContext" . | nindent 8 }}\n',
    ),
    Mutant(
        "no limit of memory",
        "templates/_sizes.tpl",
        'limits: {cpu: "2", memory: 8Gi,',
        'limits: {cpu: "2",',
    ),
    Mutant(
        "the tag in spite of a digest",
        _POD,
        "{{- if $image.digest -}}@{{ $image.digest }}{{- else -}}:",
        "{{- if $image.digest -}}:{{- else -}}:",
    ),
    Mutant("no pull secrets", _POD, "imagePullSecrets:\n  {{- toYaml . | nindent 2 }}"),
    # -- who is selected --
    Mutant(
        "a release selects the pods of others",
        _NAMES,
        "app.kubernetes.io/instance: {{ $root.Release.Name }}\n",
    ),
    Mutant(
        "workers selected with hooks and tests",
        _NAMES,
        "app.kubernetes.io/component: {{ last . }}\n",
    ),
    Mutant(
        "the wall selects tests",
        _SERVICES,
        'include "floorwatch.selector" (list . "worker")',
        'include "floorwatch.selector" (list . "test")',
    ),
    Mutant(
        "pods labelled otherwise than selected",
        _STATEFUL,
        "mergeOverwrite (dict) .Values.commonLabels $workers.podLabels ($selector | fromYaml)",
        "mergeOverwrite (dict) .Values.commonLabels $workers.podLabels",
    ),
    Mutant(
        "the budget of nobody",
        "templates/poddisruptionbudget.yaml",
        '(list $ "worker") | nindent 6',
        '(list $ "wall") | nindent 6',
    ),
    Mutant(
        "spread of nobody", _POD, '(list $ "worker") | nindent 6', '(list $ "wall") | nindent 6'
    ),
    Mutant(
        "the monitor finds both services",
        "templates/services.yaml",
        '"component" "wall"',
        '"component" "worker"',
    ),
    Mutant(
        "the monitor looks elsewhere",
        _MONITOR,
        'matchNames: [{{ include "floorwatch.namespace" $root }}]',
        "matchNames: [default]",
    ),
    # -- the network --
    Mutant(
        "no way to Kafka",
        _EGRESS,
        '    {{- range splitList " " (include "floorwatch.kafkaPorts" .) }}\n'
        "    - {protocol: TCP, port: {{ . }}}\n    {{- end }}",
        "    - {protocol: TCP, port: 9999}",
    ),
    Mutant(
        "only the first broker",
        _EGRESS,
        'regexFindAll ":[0-9]+( *,|$)" .Values.kafka.bootstrap -1',
        'regexFindAll ":[0-9]+( *,|$)" .Values.kafka.bootstrap 1',
    ),
    Mutant("DNS without TCP", _EGRESS, "    - {protocol: TCP, port: {{ int64 $port }}}\n"),
    Mutant(
        "no way to the Alertmanager",
        _NETWORK,
        '    {{- with include "floorwatch.alertmanagerPort" . }}',
        "    {{- with false }}",
    ),
    Mutant(
        "the wall behind another port",
        _NETWORK,
        "- {protocol: TCP, port: http}",
        "- {protocol: TCP, port: 8080}",
    ),
    Mutant(
        "everyone comes in",
        _NETWORK,
        "      from:\n        {{- toYaml . | nindent 8 }}",
        "      # from\n",
    ),
    Mutant(
        "what goes out is free",
        _NETWORK,
        "policyTypes: [Ingress, Egress]",
        "policyTypes: [Ingress]",
    ),
    Mutant(
        "the test may not ask a worker",
        _NETWORK,
        "        - {protocol: TCP, port: 6066}",
        "        - {protocol: TCP, port: 6067}",
    ),
    Mutant(
        "the hook without a policy",
        _HOOK,
        "{{- if .Values.networkPolicy.enabled }}",
        "{{- if false }}",
    ),
    Mutant(
        "workers that catch up are hidden",
        _SERVICES,
        "  publishNotReadyAddresses: true\n  {{- range",
        "  {{- range",
    ),
    Mutant("a headless service with an address", _SERVICES, "  clusterIP: None\n"),
    Mutant(
        "the ingress leads nowhere",
        "templates/ingress.yaml",
        'name: {{ include "floorwatch.fullname" $ }}\n                port',
        "name: wall\n                port",
    ),
    # -- the workload --
    Mutant(
        "killed while it stops",
        _STATEFUL,
        "terminationGracePeriodSeconds: {{ $workers.terminationGracePeriodSeconds }}",
        "terminationGracePeriodSeconds: 5",
    ),
    Mutant(
        "one worker after another",
        _STATEFUL,
        "podManagementPolicy: Parallel",
        "podManagementPolicy: OrderedReady",
    ),
    Mutant(
        "all workers are one member",
        _STATEFUL,
        "fieldPath: metadata.name",
        "fieldPath: metadata.namespace",
    ),
    Mutant(
        "no restart for new settings",
        _STATEFUL,
        'include "floorwatch.settings" . | sha256sum',
        '"" | sha256sum',
    ),
    Mutant(
        "a restart for a new policy",
        _STATEFUL,
        'include "floorwatch.settings" . | sha256sum',
        'printf "%s%v" (include "floorwatch.settings" .) .Values.policy | sha256sum',
    ),
    Mutant(
        "a policy that never changes",
        _POD,
        "{name: policy, mountPath: /etc/floorwatch/policy, readOnly: true}",
        "{name: policy, mountPath: /etc/floorwatch/policy/policy.yaml, subPath: policy.yaml, "
        "readOnly: true}",
    ),
    Mutant(
        "settings where nobody looks",
        _POD,
        "mountPath: /etc/floorwatch/settings, readOnly",
        "mountPath: /etc/settings, readOnly",
    ),
    Mutant(
        "a service of another name",
        _STATEFUL,
        "serviceName: {{ $fullname }}-headless",
        "serviceName: {{ $fullname }}",
    ),
    Mutant("a typo that Kubernetes would drop", _STATEFUL, "minReadySeconds:", "minReadySecond:"),
    # -- the settings --
    Mutant("listens to itself alone", _SETTINGS, '"host" .Values.http.host', '"host" "127.0.0.1"'),
    Mutant(
        "a token that nobody asks for",
        _SETTINGS,
        'list "wall" "api" "metrics"',
        'list "wall" "metrics"',
    ),
    Mutant(
        "open although it is locked",
        _SETTINGS,
        "if not (and $tokens.wall $tokens.api $tokens.metrics)",
        "if true",
    ),
    Mutant("a file that is not mounted", _SETTINGS, "%s/kafka-ca.crt", "%s/ca.crt"),
    Mutant("a password without a user", _SETTINGS, '"username_file"', '"user_file"'),
    Mutant(
        "in the clear in spite of TLS",
        _SETTINGS,
        '"security_protocol" $kafka.securityProtocol',
        '"security_protocol" "plaintext"',
    ),
    Mutant(
        "two releases are one group",
        _SETTINGS,
        '"name" (include "floorwatch.installation" .)',
        '"name" "floorwatch"',
    ),
    # -- monitoring --
    Mutant(
        "a worker that comes back is another",
        _MONITOR,
        "  - {action: replace, sourceLabels: [__meta_kubernetes_pod_name], "
        "targetLabel: instance}\n",
    ),
    Mutant(
        "two releases are one job",
        _MONITOR,
        'replacement: {{ include "floorwatch.fullname" $root }}',
        "replacement: floorwatch",
    ),
    Mutant(
        "a scrape without its token",
        _MONITOR,
        "{{- if $root.Values.http.tokens.metrics }}",
        "{{- if false }}",
    ),
    Mutant(
        "fewer samples than a worker has",
        _MONITOR,
        "(mul (int64 $root.Values.settings.max_queues) 200)",
        "(mul (int64 $root.Values.settings.max_queues) 20)",
    ),
    Mutant(
        "a scrape in the clear of a port with TLS",
        _MONITOR,
        'scheme: {{ include "floorwatch.scheme" $root }}',
        "scheme: http",
    ),
    Mutant("rules of everybody", _RULES, 'if eq $values.scope "release"', "if false"),
    Mutant("a mark left in the rules", _RULES, '($rule.expr | replace "@OWN@" $own)', "$rule.expr"),
    Mutant("an override that is lost", _RULES, '{{ $_ := set $rule "for" . }}', "{{ $_ := . }}"),
    Mutant(
        "no alert at all",
        _RULES,
        "{{- else if not (has $rule.alert $values.disabled) -}}",
        "{{- else if not true -}}",
    ),
    Mutant(
        "a label lost from the rules",
        _RULES,
        "(mergeOverwrite (dict) $about $values.alertLabels $rule.labels)",
        "(mergeOverwrite (dict) $about $values.alertLabels)",
    ),
    Mutant(
        "boards of another installation",
        "templates/dashboards.yaml",
        'replace "@NAME@" $installation',
        'replace "@NAME@" "floorwatch"',
    ),
    Mutant(
        "boards that no sidecar looks for",
        "templates/dashboards.yaml",
        '"labels" $values.labels',
        '"labels" (dict)',
    ),
    Mutant(
        "pages for nobody",
        "templates/alertmanagerconfig.yaml",
        '(mergeOverwrite (dict "name" $name) $how)',
        '(dict "name" $name)',
    ),
    # -- hook and test --
    Mutant(
        "topics of other copies",
        _HOOK,
        "--replication-factor={{ $create.replicationFactor }}",
        "--replication-factor=1",
    ),
    Mutant(
        "the hook before its settings",
        _HOOK,
        '(dict "helm.sh/hook-weight" "-5")',
        '(dict "helm.sh/hook-weight" "-15")',
    ),
    Mutant(
        "the hook runs for ever again", _HOOK, "restartPolicy: Never", "restartPolicy: OnFailure"
    ),
    Mutant(
        "the hook after the workers", _HOOK, "pre-install,pre-upgrade", "post-install,post-upgrade"
    ),
    Mutant(
        "the hook as the workers' user",
        _HOOK,
        '"floorwatch.secretSources" (list . $create.existingSecret)',
        '"floorwatch.secretSources" (list . "")',
    ),
    Mutant(
        "the test with the workers' secrets", _POD, 'if eq (last .) "worker" -}}', "if true -}}"
    ),
    Mutant(
        "an identity key that nobody reads",
        _SETTINGS,
        "if .Values.identity.existingSecret",
        "if false",
    ),
    Mutant(
        "an identity key that is not there",
        _POD,
        '{{- include "floorwatch.identitySource" $root -}}\n',
    ),
    Mutant("a check that asks somebody", _PRECHECK, "[check, --offline]", "[check]"),
    Mutant(
        "a check of another policy",
        _PRECHECK,
        "toYaml .Values.policy | nindent 4",
        'toYaml (omit .Values.policy "queues") | nindent 4',
    ),
    Mutant(
        "a check of no policy",
        _PRECHECK,
        '(ternary "policy_file" ""',
        '"policy_file" (ternary "" ""',
    ),
    Mutant(
        "the check after the upgrade",
        _PRECHECK,
        "pre-install,pre-upgrade",
        "post-install,post-upgrade",
    ),
    Mutant(
        "the check may ask",
        _PRECHECK,
        "policyTypes: [Ingress, Egress]",
        "policyTypes: [Ingress, Egress]\n  egress: [{}]",
    ),
    Mutant("a test that tests nothing", _CHECK, "- check\n", "- worker\n"),
    Mutant(
        "a test of another worker",
        _CHECK,
        '"floorwatch.fullname" . }}.{{',
        '"floorwatch.chartName" . }}.{{',
    ),
    Mutant("a test that sends no token", _CHECK, "if .Values.http.tokens.metrics", "if false"),
    Mutant("a test that stays", _CHECK, '"helm.sh/hook" "test"', '"helm.sh/hook" "post-install"'),
)
