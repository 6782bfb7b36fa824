{{- define "timeline.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end -}}
{{- end }}

{{/* A build's id as a part of a name. */}}
{{- define "timeline.slug" -}}
{{ regexReplaceAll "[^a-z0-9]+" (lower .) "-" | trimAll "-" | trunc 30 | trimSuffix "-" }}
{{- end }}

{{- define "timeline.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "timeline.labels" -}}
{{ include "timeline.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "timeline.account" -}}
{{ .Values.serviceAccount.name | default (ternary (include "timeline.name" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{/* The current build, if workers have builds. */}}
{{- define "timeline.current" -}}
{{- if .Values.worker.builds -}}
{{ .Values.worker.current | default (last .Values.worker.builds).id }}
{{- end -}}
{{- end }}

{{/* The image of a tag; of the build that is current where none is given. */}}
{{- define "timeline.image" -}}
{{- $root := .root -}}
{{- $tag := .tag | default $root.Values.image.tag | default $root.Chart.AppVersion | toString -}}
{{- if and $root.Values.image.digest (not .tag) -}}
{{ $root.Values.image.repository }}@{{ $root.Values.image.digest }}
{{- else -}}
{{ $root.Values.image.repository }}:{{ $tag }}
{{- end -}}
{{- end }}

{{- define "timeline.currentTag" -}}
{{- $current := include "timeline.current" . -}}
{{- range .Values.worker.builds }}{{ if eq (toString .id) $current }}{{ .tag | default "" }}{{ end }}{{ end -}}
{{- end }}

{{/* What all pods have in common: account, rights, where they may run. */}}
{{- define "timeline.pod" -}}
serviceAccountName: {{ include "timeline.account" . }}
automountServiceAccountToken: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  # Files of secrets are this group's.
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{ toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: tmp
    emptyDir: {}
{{- range $variable, $from := .Values.secretFiles }}
  - name: {{ $variable | lower | replace "_" "-" }}
    secret: {secretName: {{ $from.secret }}, defaultMode: 0440}
{{- end }}
{{- end }}

{{/* What all containers have in common; .tag is the image's. */}}
{{- define "timeline.container" -}}
{{- $root := .root -}}
image: {{ include "timeline.image" . }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
# The only folder that can be written.
workingDir: /tmp
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
env:
  - {name: TEMPORAL_ADDRESS, value: {{ $root.Values.temporal.address | quote }}}
  - {name: TEMPORAL_NAMESPACE, value: {{ $root.Values.temporal.namespace | quote }}}
{{- with $root.Values.pulsar.serviceUrl }}
  - {name: PULSAR_SERVICE_URL, value: {{ . | quote }}}
{{- end }}
{{- with $root.Values.pulsar.adminUrl }}
  - {name: PULSAR_ADMIN_URL, value: {{ . | quote }}}
{{- end }}
{{- with $root.Values.store }}
  - {name: TIMELINE_STORE, value: {{ . | quote }}}
{{- end }}
  - {name: TIMELINE_LOG_FORMAT, value: json}
  - {name: TIMELINE_LOG_LEVEL, value: {{ $root.Values.logLevel | quote }}}
{{- range $variable, $value := $root.Values.env }}
  - {name: {{ $variable }}, value: {{ $value | toString | quote }}}
{{- end }}
{{- range $variable, $from := $root.Values.secretEnv }}
  - name: {{ $variable }}
    valueFrom: {secretKeyRef: {name: {{ $from.secret }}, key: {{ $from.key }}}}
{{- end }}
{{- range $variable, $from := $root.Values.secretFiles }}
  - {name: {{ $variable }}, value: {{ printf "/run/timeline/%s/%s" $variable $from.key | quote }}}
{{- end }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
{{- range $variable, $from := $root.Values.secretFiles }}
  - {name: {{ $variable | lower | replace "_" "-" }}, mountPath: /run/timeline/{{ $variable }}, readOnly: true}
{{- end }}
{{- end }}

{{/* Where worker and feeder say how they are, and by what they are looked after. */}}
{{- define "timeline.observed" -}}
ports:
  - {name: metrics, containerPort: 9464}
  - {name: health, containerPort: 9500}
startupProbe:
  httpGet: {path: /healthz, port: health}
  periodSeconds: 3
  failureThreshold: 100
livenessProbe:
  httpGet: {path: /healthz, port: health}
  periodSeconds: 15
  timeoutSeconds: 10
  failureThreshold: 4
readinessProbe:
  httpGet: {path: /readyz, port: health}
  periodSeconds: 10
  timeoutSeconds: 10
{{- end }}

{{/* For Prometheus, where it looks at such annotations. */}}
{{- define "timeline.annotations" -}}
prometheus.io/scrape: "true"
prometheus.io/port: "9464"
{{- with .Values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "timeline.ids" -}}
{{- $ids := list -}}
{{- range .Values.worker.builds }}{{ $ids = append $ids (toString .id) }}{{ end -}}
{{ $ids | toJson }}
{{- end }}
