{{- define "smo.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* Shortened so that the longest suffix, -simulated-tenant, still fits. */ -}}
{{- define "smo.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 46 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "smo.name" . -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 46 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "smo.selectorLabels" -}}
app.kubernetes.io/name: {{ include "smo.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "smo.simulatedTenantSelectorLabels" -}}
app.kubernetes.io/name: {{ include "smo.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: simulated-tenant
{{- end -}}

{{- define "smo.commonLabels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: shared-mailbox-operator
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "smo.labels" -}}
{{ include "smo.selectorLabels" . }}
{{ include "smo.commonLabels" . }}
{{- end -}}

{{- define "smo.simulatedTenantLabels" -}}
{{ include "smo.simulatedTenantSelectorLabels" . }}
{{ include "smo.commonLabels" . }}
{{- end -}}

{{- /* Name, labels and annotations of an object: (dict "context" $ "suffix" "-view" "labels" dict "annotations" dict). */ -}}
{{- define "smo.metadata" -}}
name: {{ include "smo.fullname" .context }}{{ .suffix }}
labels:
  {{- include (.component | default "smo.labels") .context | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (.annotations | default dict) .context.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "smo.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "smo.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- /* repository:tag or repository@digest: (dict "image" .Values.image "context" $) */ -}}
{{- define "smo.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ default .context.Chart.AppVersion .image.tag }}
{{- end -}}
{{- end -}}

{{- define "smo.simulatedTenantHost" -}}
{{ include "smo.fullname" . }}-simulated-tenant.{{ .Release.Namespace }}.svc:8480
{{- end -}}

{{- define "smo.endpointOverrides" -}}
{{- $hosts := .Values.allowEndpointOverrides -}}
{{- if .Values.simulatedTenant.enabled -}}
{{- $hosts = append $hosts (include "smo.simulatedTenantHost" .) -}}
{{- end -}}
{{- join "," $hosts -}}
{{- end -}}

{{- /* The Secrets that may be read, one a line. */ -}}
{{- define "smo.secretNames" -}}
{{- $names := .Values.credentials.secretNames -}}
{{- if .Values.simulatedTenant.enabled -}}
{{- $names = append $names (printf "%s-simulated-tenant" (include "smo.fullname" .)) -}}
{{- end -}}
{{- uniq $names | toYaml -}}
{{- end -}}

{{- /* The port of a URL as in http://proxy.contoso.com:3128; the scheme's when it names none. */ -}}
{{- define "smo.portOfUrl" -}}
{{- /* A name and password in it are variables of the pod, which no URL may hold. */ -}}
{{- $url := urlParse (regexReplaceAll "//[^/@]*@" . "//") -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{- default (ternary "443" "80" (eq $url.scheme "https")) $port -}}
{{- end -}}
