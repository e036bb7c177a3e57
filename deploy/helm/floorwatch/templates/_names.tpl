{{/* Names and labels. */}}

{{- define "floorwatch.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace -}}
{{- end -}}

{{- define "floorwatch.chartName" -}}
{{- .Values.nameOverride | default "floorwatch" -}}
{{- end -}}

{{/* At most 50 characters: Kubernetes adds eleven to a StatefulSet's name, in a label of 63. */}}
{{- define "floorwatch.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else -}}
{{- $chart := include "floorwatch.chartName" . -}}
{{- $release := .Release.Name | replace "." "-" -}}
{{- ternary $release (printf "%s-%s" $release $chart) (contains $chart $release) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The installation, as floorwatch's settings have it. */}}
{{- define "floorwatch.installation" -}}
{{- .Values.name | default (include "floorwatch.fullname" .) -}}
{{- end -}}

{{- define "floorwatch.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "floorwatch.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{/* What a component is found by; (list . COMPONENT). */}}
{{- define "floorwatch.selector" -}}
{{- $root := first . -}}
app.kubernetes.io/name: {{ include "floorwatch.chartName" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ last . }}
{{- end -}}

{{/* metadata without its braces; dict root, component, name, and maybe labels, annotations, namespace. */}}
{{- define "floorwatch.metadata" -}}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/version" (.root.Chart.AppVersion | replace "+" "_")
  "app.kubernetes.io/managed-by" .root.Release.Service
  "app.kubernetes.io/part-of" "floorwatch" -}}
{{- $selector := include "floorwatch.selector" (list .root .component) | fromYaml -}}
{{- $labels := mergeOverwrite (dict) (.root.Values.commonLabels | default dict) (.labels | default dict) $own $selector -}}
{{- $annotations := mergeOverwrite (dict) (.root.Values.commonAnnotations | default dict) (.annotations | default dict) -}}
name: {{ .name }}
namespace: {{ .namespace | default (include "floorwatch.namespace" .root) }}
labels:
  {{- toYaml $labels | nindent 2 }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
