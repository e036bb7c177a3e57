{{/* floorwatch's settings. Secrets are files, named here and mounted in _pod.tpl. */}}

{{- define "floorwatch.secretFolder" -}}/etc/floorwatch/secrets{{- end -}}

{{/* What every command needs: where Kafka is, and which topics. */}}
{{- define "floorwatch.connection" -}}
{{- $secrets := include "floorwatch.secretFolder" . -}}
{{- $kafka := .Values.kafka -}}
{{- $connection := dict
  "name" (include "floorwatch.installation" .)
  "bootstrap" $kafka.bootstrap
  "topics" (omit .Values.topics "create") -}}
{{- if ne $kafka.securityProtocol "plaintext" -}}
{{- $how := dict "security_protocol" $kafka.securityProtocol -}}
{{- if hasPrefix "sasl" $kafka.securityProtocol -}}
{{- $_ := set $how "sasl_mechanism" $kafka.sasl.mechanism -}}
{{- $_ := set $how "username_file" (printf "%s/kafka-username" $secrets) -}}
{{- $_ := set $how "password_file" (printf "%s/kafka-password" $secrets) -}}
{{- end -}}
{{- if $kafka.tls.caSecret -}}
{{- $_ := set $how "ca_file" (printf "%s/kafka-ca.crt" $secrets) -}}
{{- end -}}
{{- if $kafka.tls.certificateSecret -}}
{{- $_ := set $how "certificate_file" (printf "%s/kafka-tls.crt" $secrets) -}}
{{- $_ := set $how "key_file" (printf "%s/kafka-tls.key" $secrets) -}}
{{- if $kafka.tls.keyPasswordKey -}}
{{- $_ := set $how "key_password_file" (printf "%s/kafka-tls.password" $secrets) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $connection "kafka" $how -}}
{{- end -}}
{{- toYaml $connection -}}
{{- end -}}

{{/* Those of who asks a worker: nothing of its door, nor of whom it knows under which key. */}}
{{- define "floorwatch.testSettings" -}}
{{- $policy := dict "policy_file" (include "floorwatch.policyFile" .) -}}
{{- toYaml (mergeOverwrite (deepCopy .Values.settings) $policy (include "floorwatch.connection" . | fromYaml)) -}}
{{- end -}}

{{- define "floorwatch.policyFile" -}}/etc/floorwatch/policy/policy.yaml{{- end -}}

{{- define "floorwatch.settings" -}}
{{- $secrets := include "floorwatch.secretFolder" . -}}
{{- $tokens := .Values.http.tokens -}}
{{- $http := dict "frame_ancestors" .Values.http.frameAncestors -}}
{{- range $surface := list "wall" "api" "metrics" -}}
{{- if index $tokens $surface -}}
{{- $_ := set $http (printf "%s_token_file" $surface) (printf "%s/%s-token" $secrets $surface) -}}
{{- end -}}
{{- end -}}
{{- if not (and $tokens.wall $tokens.api $tokens.metrics) -}}
{{- $_ := set $http "open_without_token" true -}}
{{- end -}}
{{- if .Values.http.tls.existingSecret -}}
{{- $_ := set $http "certificate_file" (printf "%s/http-tls.crt" $secrets) -}}
{{- $_ := set $http "key_file" (printf "%s/http-tls.key" $secrets) -}}
{{- end -}}
{{- $settings := dict
  "host" .Values.http.host
  "port" 6066
  "http" $http
  "policy_file" (include "floorwatch.policyFile" .) -}}
{{- if .Values.identity.existingSecret -}}
{{- $_ := set $settings "identity_key_file" (printf "%s/identity-key" $secrets) -}}
{{- end -}}
{{- $connection := include "floorwatch.connection" . | fromYaml -}}
{{- toYaml (mergeOverwrite (deepCopy .Values.settings) $settings $connection) -}}
{{- end -}}

{{- define "floorwatch.scheme" -}}
{{- ternary "https" "http" (not (empty .Values.http.tls.existingSecret)) -}}
{{- end -}}
