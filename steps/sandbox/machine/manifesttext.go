package machine

// text is the manifest as kubeadm's marshaller writes it. late is how it has been since 1.34: ports of probes have names,
// and what is empty is left out.
func (p staticPod) text(component, image string, late bool) string {
	var y yamlText
	y.line("apiVersion: v1\nkind: Pod\nmetadata:")
	if p.annotation != "" {
		y.line("  annotations:\n    %s", p.annotation)
	}
	if !late {
		y.line("  creationTimestamp: null")
	}
	y.line("  labels:\n    component: %s\n    tier: control-plane\n  name: %[1]s\n  namespace: kube-system", component)
	y.line("spec:\n  containers:\n  - command:\n    - %s", component)
	for _, flag := range p.flags {
		y.line("    - --%s", flag)
	}
	y.line("    image: %s\n    imagePullPolicy: IfNotPresent", image)
	p.probe(&y, "liveness", p.live, late, 8, 10)
	y.line("    name: %s", component)
	if late {
		y.line("    ports:\n    - containerPort: %d\n      name: probe-port\n      protocol: TCP", p.port)
	}
	p.probe(&y, "readiness", p.ready, late, 3, 1)
	y.line("    resources:\n      requests:")
	for _, r := range p.requests {
		y.line("        %s", r)
	}
	p.probe(&y, "startup", p.start, late, 24, 10)
	p.writeVolumes(&y)
	y.line("status: {}")
	return y.String()
}

// probe writes one probe (kubeadm/app/util/staticpod: LivenessProbe, ReadinessProbe, StartupProbe; four minutes are 24
// times ten seconds).
func (p staticPod) probe(y *yamlText, kind, path string, late bool, failures, period int) {
	if path == "" {
		return
	}
	y.line("    %sProbe:\n      failureThreshold: %d\n      httpGet:\n        host: %s\n        path: %s", kind, failures, p.host, path)
	if late {
		y.line("        port: probe-port")
	} else {
		y.line("        port: %d", p.port)
	}
	y.line("        scheme: %s", p.scheme)
	if kind != "readiness" {
		y.line("      initialDelaySeconds: 10")
	}
	y.line("      periodSeconds: %d\n      timeoutSeconds: 15", period)
}

// writeVolumes ends the container, and the pod after it.
func (p staticPod) writeVolumes(y *yamlText) {
	mounts := p.mounts
	if mounts == nil {
		mounts = p.volumes
	}
	y.line("    volumeMounts:")
	for _, v := range mounts {
		y.line("    - mountPath: %s\n      name: %s", v.path, v.name)
		if !v.writable {
			y.line("      readOnly: true")
		}
	}
	y.line("  hostNetwork: true\n  priority: 2000001000\n  priorityClassName: system-node-critical")
	y.line("  securityContext:\n    seccompProfile:\n      type: RuntimeDefault\n  volumes:")
	for _, v := range p.volumes {
		kind := "DirectoryOrCreate"
		if v.file {
			kind = "FileOrCreate"
		}
		y.line("  - hostPath:\n      path: %s\n      type: %s\n    name: %s", v.path, kind, v.name)
	}
}
