{{- define "isthmus.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" (.Release.Name | trunc 42 | trimSuffix "-") .Chart.Name -}}
{{- end -}}
{{- end -}}

{{- define "isthmus.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "isthmus.labels" -}}
{{ include "isthmus.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "isthmus.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "isthmus.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{- define "isthmus.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default (printf "%s-%s" .Chart.AppVersion (ternary "gpu" "cpu" .Values.gpu.enabled))) -}}
{{- end -}}

{{/* Where the server finds its bundle. */}}
{{- define "isthmus.bundle" -}}
{{- if eq .Values.bundle.source "image" -}}
{{- .Values.bundle.image.path -}}
{{- else if eq .Values.bundle.source "pvc" -}}
{{- printf "/bundles/%s" .Values.bundle.pvc.path -}}
{{- else -}}
/bundles/bundle
{{- end -}}
{{- end -}}

{{/* Seconds that a stop may take: every wait of it in turn, and some more. */}}
{{- define "isthmus.terminationSeconds" -}}
{{- $waits := addf .Values.termination.preStopSeconds .Values.settings.drain_delay .Values.settings.grace .Values.termination.marginSeconds -}}
{{- ceil $waits | int -}}
{{- end -}}

{{- define "isthmus.probeMode" -}}
{{- if eq .Values.probes.mode "auto" -}}
{{- ternary "exec" "grpc" .Values.tls.enabled -}}
{{- else -}}
{{- .Values.probes.mode -}}
{{- end -}}
{{- end -}}

{{/* Asked through the port that callers use. */}}
{{- define "isthmus.probe" -}}
{{- $mode := include "isthmus.probeMode" . -}}
{{- if eq $mode "exec" -}}
exec:
  command: {{ concat (list "python" "-m" "service.probe") .Values.probes.extraArgs | toJson }}
{{- else -}}
grpc:
  port: {{ .Values.service.port }}
  {{- if eq $mode "grpcTLS" }}
  mode: TLS
  {{- end }}
{{- end -}}
{{- end -}}

{{/* Values that each are well but do not go together. */}}
{{- define "isthmus.check" -}}
{{- if and (eq .Values.bundle.source "pvc") (not .Values.bundle.pvc.claimName) -}}
{{- fail "bundle.pvc.claimName: must be set, as bundle.source is pvc" -}}
{{- end -}}
{{- if eq .Values.bundle.source "objectStore" -}}
{{- if not .Values.bundle.objectStore.source -}}
{{- fail "bundle.objectStore.source: must be set, as bundle.source is objectStore" -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.egress) -}}
{{- fail "networkPolicy.egress: must let the pods reach the object store and DNS, as bundle.source is objectStore" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.tls.enabled (not .Values.tls.secretName) -}}
{{- fail "tls.secretName: must be set, as tls.enabled is" -}}
{{- end -}}
{{- if and (not .Values.tls.enabled) (or .Values.tls.clientCASecretName (eq .Values.probes.mode "grpcTLS")) -}}
{{- fail "tls.enabled: must be set for tls.clientCASecretName and for probes.mode grpcTLS" -}}
{{- end -}}
{{- if and .Values.tls.enabled (eq .Values.probes.mode "grpc") -}}
{{- fail "probes.mode: grpc speaks plain text, and tls.enabled is set; leave it auto" -}}
{{- end -}}
{{- if and .Values.tls.clientCASecretName (eq .Values.probes.mode "grpcTLS") -}}
{{- fail "probes.mode: grpcTLS shows no certificate, and tls.clientCASecretName asks for one; leave it auto" -}}
{{- end -}}
{{- if and (not .Values.metrics.enabled) (or .Values.serviceMonitor.enabled .Values.prometheusRule.enabled .Values.dashboard.enabled (ne .Values.autoscaling.kind "none")) -}}
{{- fail "metrics.enabled: must be set for serviceMonitor, prometheusRule, dashboard and autoscaling" -}}
{{- end -}}
{{- if gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas) -}}
{{- fail "autoscaling.maxReplicas: must be at least autoscaling.minReplicas" -}}
{{- end -}}
{{- end -}}
