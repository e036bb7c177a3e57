{{/* Ports of the brokers: those said, else those of kafka.bootstrap. */}}
{{- define "floorwatch.kafkaPorts" -}}
{{- $ports := list -}}
{{- range .Values.networkPolicy.kafkaPorts -}}
{{- $ports = append $ports (int64 . | toString) -}}
{{- end -}}
{{- range regexFindAll ":[0-9]+( *,|$)" .Values.kafka.bootstrap -1 -}}
{{- $ports = append $ports (regexFind "[0-9]+" .) -}}
{{- end -}}
{{- $ports | uniq | join " " -}}
{{- end -}}

{{/* Egress to DNS and Kafka. */}}
{{- define "floorwatch.egress" -}}
{{- $policy := .Values.networkPolicy -}}
- ports:
    {{- range $port := $policy.dnsPorts }}
    - {protocol: UDP, port: {{ int64 $port }}}
    - {protocol: TCP, port: {{ int64 $port }}}
    {{- end }}
  {{- with $policy.dnsTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
- ports:
    {{- range splitList " " (include "floorwatch.kafkaPorts" .) }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
  {{- with $policy.kafkaTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "floorwatch.alertmanagerPort" -}}
{{- $address := .Values.settings.alertmanager -}}
{{- if ne $address "off" -}}
{{- $url := urlParse $address -}}
{{- regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) | default (ternary "443" "80" (eq $url.scheme "https")) -}}
{{- end -}}
{{- end -}}
