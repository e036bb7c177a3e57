{{/* deploy/SIZING.md as values. Memory decides: what a worker takes over has to fit too. */}}
{{- define "floorwatch.size" -}}
{{- if eq .Values.size "small" -}}
replicas: 2
partitions: 8
resources:
  requests: {cpu: 100m, memory: 1Gi, ephemeral-storage: 64Mi}
  limits: {cpu: "2", memory: 1Gi, ephemeral-storage: 256Mi}
{{- else if eq .Values.size "medium" -}}
replicas: 5
partitions: 32
resources:
  requests: {cpu: 250m, memory: 8Gi, ephemeral-storage: 64Mi}
  limits: {cpu: "2", memory: 8Gi, ephemeral-storage: 256Mi}
{{- else -}}
replicas: 34
partitions: 256
resources:
  requests: {cpu: 500m, memory: 8Gi, ephemeral-storage: 64Mi}
  limits: {cpu: "2", memory: 8Gi, ephemeral-storage: 256Mi}
{{- end -}}
{{- end -}}

{{- define "floorwatch.replicas" -}}
{{- $size := include "floorwatch.size" . | fromYaml -}}
{{- ternary $size.replicas .Values.workers.replicas (kindIs "invalid" .Values.workers.replicas) -}}
{{- end -}}

{{- define "floorwatch.partitions" -}}
{{- $size := include "floorwatch.size" . | fromYaml -}}
{{- ternary $size.partitions .Values.topics.create.partitions (kindIs "invalid" .Values.topics.create.partitions) -}}
{{- end -}}
