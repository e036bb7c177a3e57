{{/* What the pods of all components have in common. */}}

{{- define "floorwatch.image" -}}
{{- $image := .Values.image -}}
{{- $registry := (.Values.global).imageRegistry | default $image.registry -}}
{{- if $registry -}}{{ trimSuffix "/" $registry }}/{{- end -}}
{{- $image.repository -}}
{{- if $image.digest -}}@{{ $image.digest }}{{- else -}}:{{ $image.tag | default .Chart.AppVersion }}{{- end -}}
{{- end -}}

{{- define "floorwatch.imagePullSecrets" -}}
{{- $names := list -}}
{{- range concat ((.Values.global).imagePullSecrets | default list) .Values.image.pullSecrets -}}
{{- $names = append $names (ternary . (dict "name" .) (kindIs "map" .)) -}}
{{- end -}}
{{- with $names | uniq -}}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{- define "floorwatch.podSecurityContext" -}}
runAsNonRoot: true
{{- range $key := list "runAsUser" "runAsGroup" "fsGroup" }}
{{- $id := index $.Values.security $key }}
{{- if not (kindIs "invalid" $id) }}
{{ $key }}: {{ int64 $id }}
{{- end }}
{{- end }}
{{- if not (kindIs "invalid" .Values.security.fsGroup) }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
{{- with .Values.security.supplementalGroups }}
supplementalGroups:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.security.seLinuxOptions }}
seLinuxOptions:
  {{- toYaml . | nindent 2 }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "floorwatch.securityContext" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Of a pod: account, security, where it runs. */}}
{{- define "floorwatch.podSpec" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with include "floorwatch.imagePullSecrets" . }}
{{ . }}
{{- end }}
securityContext:
  {{- include "floorwatch.podSecurityContext" . | nindent 2 }}
{{- $scheduling := .Values.scheduling }}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "hostAliases" "dnsConfig" }}
{{- with index $scheduling $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- range $key := list "priorityClassName" "runtimeClassName" "schedulerName" }}
{{- with index $scheduling $key }}
{{ $key }}: {{ . }}
{{- end }}
{{- end }}
dnsPolicy: {{ $scheduling.dnsPolicy }}
{{- end -}}

{{/* What Kafka is reached with, as items of one projected volume; (list . SECRET), where SECRET says who it is in place
of the workers' own. */}}
{{- define "floorwatch.secretSources" -}}
{{- $kafka := (first .).Values.kafka -}}
{{- $other := last . -}}
{{- $sasl := hasPrefix "sasl" $kafka.securityProtocol -}}
{{- if $sasl }}
- secret:
    name: {{ $other | default $kafka.sasl.existingSecret }}
    items:
      - {key: {{ $kafka.sasl.usernameKey | quote }}, path: kafka-username}
      - {key: {{ $kafka.sasl.passwordKey | quote }}, path: kafka-password}
{{- end }}
{{- with $kafka.tls.caSecret }}
- secret:
    name: {{ . }}
    items:
      - {key: {{ $kafka.tls.caKey | quote }}, path: kafka-ca.crt}
{{- end }}
{{- with $kafka.tls.certificateSecret }}
- secret:
    name: {{ ternary . ($other | default .) $sasl }}
    items:
      - {key: {{ $kafka.tls.certificateKey | quote }}, path: kafka-tls.crt}
      - {key: {{ $kafka.tls.keyKey | quote }}, path: kafka-tls.key}
      {{- with $kafka.tls.keyPasswordKey }}
      - {key: {{ . | quote }}, path: kafka-tls.password}
      {{- end }}
{{- end }}
{{- end -}}

{{- define "floorwatch.httpSecretSources" -}}
{{- $tokens := .Values.http.tokens -}}
{{- if or $tokens.wall $tokens.api $tokens.metrics }}
- secret:
    name: {{ $tokens.existingSecret }}
    items:
      {{- range $surface := list "wall" "api" "metrics" }}
      {{- if index $tokens $surface }}
      - {key: {{ index $tokens (printf "%sKey" $surface) | quote }}, path: {{ $surface }}-token}
      {{- end }}
      {{- end }}
{{- end }}
{{- with .Values.http.tls }}
{{- if .existingSecret }}
- secret:
    name: {{ .existingSecret }}
    items:
      - {key: {{ .certificateKey | quote }}, path: http-tls.crt}
      - {key: {{ .keyKey | quote }}, path: http-tls.key}
{{- end }}
{{- end }}
{{- end -}}

{{- define "floorwatch.identitySource" -}}
{{- with .Values.identity }}
{{- if .existingSecret }}
- secret:
    name: {{ .existingSecret }}
    items:
      - {key: {{ .key | quote }}, path: identity-key}
{{- end }}
{{- end }}
{{- end -}}

{{/* Of the secrets of a worker, what somebody needs who asks it. */}}
{{- define "floorwatch.askingSources" -}}
{{- with .Values.http.tokens }}
{{- if .metrics }}
- secret:
    name: {{ .existingSecret }}
    items:
      - {key: {{ .metricsKey | quote }}, path: metrics-token}
{{- end }}
{{- end }}
{{- with .Values.http.tls }}
{{- if .existingSecret }}
- secret:
    name: {{ .existingSecret }}
    items:
      - {key: {{ .certificateKey | quote }}, path: http-tls.crt}
{{- end }}
{{- end }}
{{- end -}}

{{/* The sources of the secrets of a component that reads the policy; (list . COMPONENT). */}}
{{- define "floorwatch.sources" -}}
{{- $root := first . -}}
{{- include "floorwatch.secretSources" (list $root "") -}}
{{- if eq (last .) "worker" -}}
{{- include "floorwatch.httpSecretSources" $root -}}
{{- include "floorwatch.identitySource" $root -}}
{{- else -}}
{{- include "floorwatch.askingSources" $root -}}
{{- end -}}
{{- end -}}

{{- define "floorwatch.policyName" -}}
{{- .Values.existingPolicy | default (printf "%s-policy" (include "floorwatch.fullname" .)) -}}
{{- end -}}

{{/* Volumes of worker and test, each with its own settings and secrets; (list . COMPONENT). */}}
{{- define "floorwatch.volumes" -}}
{{- $root := first . -}}
- name: settings
  configMap:
    name: {{ include "floorwatch.fullname" $root }}-{{ ternary "settings" "test" (eq (last .) "worker") }}
- name: policy
  configMap:
    name: {{ include "floorwatch.policyName" $root }}
{{- with include "floorwatch.sources" . | trim }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- . | nindent 6 }}
{{- end }}
- name: tmp
  emptyDir:
    sizeLimit: {{ $root.Values.workers.tmpSizeLimit }}
{{- end -}}

{{- define "floorwatch.volumeMounts" -}}
- {name: settings, mountPath: /etc/floorwatch/settings, readOnly: true}
- {name: policy, mountPath: /etc/floorwatch/policy, readOnly: true}
{{- if include "floorwatch.sources" . | trim }}
- {name: secrets, mountPath: {{ include "floorwatch.secretFolder" (first .) }}, readOnly: true}
{{- end }}
- {name: tmp, mountPath: /tmp}
{{- end -}}

{{- define "floorwatch.spread" -}}
{{- if .Values.scheduling.topologySpreadConstraints -}}
{{- toYaml .Values.scheduling.topologySpreadConstraints -}}
{{- else -}}
{{- range $key, $how := dict "topology.kubernetes.io/zone" .Values.scheduling.spreadOverZones "kubernetes.io/hostname" .Values.scheduling.spreadOverNodes }}
{{- if ne $how "off" }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: {{ $how }}
  labelSelector:
    matchLabels:
      {{- include "floorwatch.selector" (list $ "worker") | nindent 6 }}
{{- end }}
{{- end }}
{{- end -}}
{{- end -}}
