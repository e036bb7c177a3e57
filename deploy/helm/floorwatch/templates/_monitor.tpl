{{/* What both kinds of monitors say of a pod; (list . MONITOR). */}}
{{- define "floorwatch.endpoint" -}}
{{- $root := first . -}}
{{- $monitor := last . -}}
port: http
path: /metrics
scheme: {{ include "floorwatch.scheme" $root }}
interval: {{ $monitor.interval }}
scrapeTimeout: {{ $monitor.scrapeTimeout }}
honorLabels: false
{{- if $root.Values.http.tokens.metrics }}
authorization:
  type: Bearer
  credentials:
    name: {{ $root.Values.http.tokens.existingSecret }}
    key: {{ $root.Values.http.tokens.scrapeKey | default $root.Values.http.tokens.metricsKey | quote }}
{{- end }}
{{- with $monitor.tlsConfig }}
tlsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
relabelings:
  # A worker that comes back is the same instance: totals go on in the same series.
  - {action: replace, sourceLabels: [__meta_kubernetes_pod_name], targetLabel: instance}
  # Two releases in a namespace are two jobs.
  - {action: replace, targetLabel: job, replacement: {{ include "floorwatch.fullname" $root }}}
  {{- with $monitor.relabelings }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $monitor.extraEndpoint }}
{{ toYaml . }}
{{- end }}
{{- with $monitor.metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* A worker has at most 200 series of each (queue, channel), and some of its own. */}}
{{- define "floorwatch.limits" -}}
{{- $root := first . -}}
{{- $monitor := last . -}}
{{- $samples := $monitor.sampleLimit -}}
{{- if kindIs "invalid" $samples -}}
{{- $samples = add (mul (int64 $root.Values.settings.max_queues) 200) 20000 -}}
{{- end -}}
{{- range $key, $limit := dict "sampleLimit" $samples "labelLimit" $monitor.labelLimit "labelNameLengthLimit" $monitor.labelNameLengthLimit "labelValueLengthLimit" $monitor.labelValueLengthLimit }}
{{- if int64 $limit }}
{{ $key }}: {{ int64 $limit }}
{{- end }}
{{- end }}
{{- with $monitor.scrapeClass }}
scrapeClass: {{ . }}
{{- end }}
{{- with $monitor.extraSpec }}
{{ toYaml . }}
{{- end }}
namespaceSelector:
  matchNames: [{{ include "floorwatch.namespace" $root }}]
selector:
  matchLabels:
    {{- include "floorwatch.selector" (list $root "worker") | nindent 4 }}
{{- end -}}
