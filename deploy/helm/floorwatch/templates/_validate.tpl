{{/* What no schema can say; all that is wrong, at once. */}}
{{- define "floorwatch.validate" -}}
{{- $wrong := list -}}
{{- if not .Values.kafka.bootstrap -}}
{{- $wrong = append $wrong "kafka.bootstrap: say where Kafka is, for example --set kafka.bootstrap=kafka:9092" -}}
{{- end -}}
{{- $installation := include "floorwatch.installation" . -}}
{{- if not (regexMatch "^[a-z0-9][a-z0-9_-]{0,29}$" $installation) -}}
{{- $wrong = append $wrong (printf "name: %q has more than the 30 characters that prefix topics and group; give a shorter one with --set name=" $installation) -}}
{{- end -}}
{{- $topics := without (values (omit .Values.topics "create")) "off" -}}
{{- if not $topics -}}
{{- $wrong = append $wrong "topics: at least one of calls, chats and queues has to be on" -}}
{{- else if ne (len $topics) (len (uniq $topics)) -}}
{{- $wrong = append $wrong "topics: calls, chats and queues need a topic of their own each" -}}
{{- end -}}
{{- $create := .Values.topics.create -}}
{{- if and $create.enabled (lt (int64 (include "floorwatch.partitions" .)) (int64 (include "floorwatch.replicas" .))) -}}
{{- $wrong = append $wrong (printf "topics.create.partitions: %s partitions leave some of %s workers idle" (include "floorwatch.partitions" .) (include "floorwatch.replicas" .)) -}}
{{- end -}}
{{- if and $create.enabled (gt (int64 $create.minInsyncReplicas) (int64 $create.replicationFactor)) -}}
{{- $wrong = append $wrong "topics.create.minInsyncReplicas: more than replicationFactor, so nothing could be written" -}}
{{- end -}}
{{- range $name := list "serviceMonitor" "podMonitor" -}}
{{- $monitor := index $.Values $name -}}
{{- if $monitor.enabled -}}
{{- if gt (trimSuffix "s" $monitor.scrapeTimeout | int) (trimSuffix "s" $monitor.interval | int) -}}
{{- $wrong = append $wrong (printf "%s.scrapeTimeout: longer than the interval, which Prometheus refuses" $name) -}}
{{- end -}}
{{- if and $.Values.http.tls.existingSecret (not $monitor.tlsConfig) (not $monitor.scrapeClass) -}}
{{- $wrong = append $wrong (printf "%s.tlsConfig: with http.tls, say how the pods' certificate is checked, for example {ca: {secret: {name: wall-tls, key: ca.crt}}, serverName: NAME_IN_IT}, or {insecureSkipVerify: true} to check nothing; or name a scrapeClass" $name) -}}
{{- end -}}
{{- if and $.Values.http.tokens.metrics $monitor.namespace (ne $monitor.namespace (include "floorwatch.namespace" $)) -}}
{{- $wrong = append $wrong (printf "%s.namespace: the token of /metrics is in the namespace of the release, where the monitor has to be too" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $wrong -}}
{{- fail (printf "\n\nfloorwatch:\n  %s\n" (join "\n  " .)) -}}
{{- end -}}
{{- end -}}
