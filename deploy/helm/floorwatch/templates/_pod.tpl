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

{{/* The secrets that the settings name, as items of one projected volume. */}}
{{- define "floorwatch.secretSources" -}}
{{- $kafka := .Values.kafka -}}
{{- if hasPrefix "sasl" $kafka.securityProtocol }}
- secret:
    name: {{ $kafka.sasl.existingSecret }}
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
    name: {{ . }}
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

{{- define "floorwatch.policyName" -}}
{{- .Values.existingPolicy | default (printf "%s-policy" (include "floorwatch.fullname" .)) -}}
{{- end -}}

{{/* Volumes of worker and test; the hook that creates topics has its own settings and no policy. */}}
{{- define "floorwatch.volumes" -}}
- name: settings
  configMap:
    name: {{ include "floorwatch.fullname" . }}-settings
- name: policy
  configMap:
    name: {{ include "floorwatch.policyName" . }}
{{- $sources := printf "%s%s" (include "floorwatch.secretSources" .) (include "floorwatch.httpSecretSources" .) | trim }}
{{- with $sources }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- . | nindent 6 }}
{{- end }}
- name: tmp
  emptyDir:
    sizeLimit: {{ .Values.workers.tmpSizeLimit }}
{{- end -}}

{{- define "floorwatch.volumeMounts" -}}
- {name: settings, mountPath: /etc/floorwatch/settings, readOnly: true}
- {name: policy, mountPath: /etc/floorwatch/policy, readOnly: true}
{{- if printf "%s%s" (include "floorwatch.secretSources" .) (include "floorwatch.httpSecretSources" .) | trim }}
- {name: secrets, mountPath: {{ include "floorwatch.secretFolder" . }}, readOnly: true}
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
