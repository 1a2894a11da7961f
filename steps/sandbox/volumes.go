package sandbox

import (
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
)

// claim gives a pod of a StatefulSet its volume: the claim and the volume outlive the pod.
func (w *world) claim(p *corev1.Pod) {
	name := "data-" + p.Name
	p.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name},
	}}}
	if w.tables["persistentvolumeclaims"].objects[key(p.Namespace, name)] != nil {
		return
	}
	c := &corev1.PersistentVolumeClaim{ObjectMeta: w.meta(p.Namespace, name, p.Labels)}
	c.Spec.VolumeName = "pvc-" + string(c.UID)
	c.Status.Phase = corev1.ClaimBound
	w.put("persistentvolumeclaims", c)
	v := &corev1.PersistentVolume{ObjectMeta: w.meta("", c.Spec.VolumeName, nil)}
	v.Spec.ClaimRef = &corev1.ObjectReference{Kind: "PersistentVolumeClaim", Namespace: p.Namespace, Name: name, UID: c.UID}
	v.Status.Phase = corev1.VolumeBound
	w.put("persistentvolumes", v)
}

// volumeOf is the name of a pod's persistent volume; "" if it has none.
func (w *world) volumeOf(p *corev1.Pod) string {
	for _, v := range p.Spec.Volumes {
		if v.PersistentVolumeClaim == nil {
			continue
		}
		if c := find[*corev1.PersistentVolumeClaim](w, "persistentvolumeclaims", key(p.Namespace, v.PersistentVolumeClaim.ClaimName)); c != nil {
			return c.Spec.VolumeName
		}
	}
	return ""
}

// attach attaches a pod's volume to its node, unless it is attached to another one still.
func (w *world) attach(p *corev1.Pod) {
	volume := w.volumeOf(p)
	name := "csi-" + volume
	if volume == "" || w.tables["volumeattachments"].objects[name] != nil {
		return
	}
	a := &storagev1.VolumeAttachment{ObjectMeta: w.meta("", name, nil)}
	a.Spec = storagev1.VolumeAttachmentSpec{
		Attacher: "disks.sandbox.invalid", NodeName: p.Spec.NodeName,
		Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &volume},
	}
	a.Status.Attached = true
	w.put("volumeattachments", a)
}

// attached says whether a pod's volume is where the pod is; it tries to bring it there.
func (w *world) attached(p *corev1.Pod) bool {
	w.attach(p)
	volume := w.volumeOf(p)
	if volume == "" {
		return true
	}
	a := find[*storagev1.VolumeAttachment](w, "volumeattachments", "csi-"+volume)
	return a != nil && a.Spec.NodeName == p.Spec.NodeName
}

// detach lets go of the volume of a pod that is gone, unless the pod that came after it uses it on the same node.
func (w *world) detach(p *corev1.Pod) {
	volume := w.volumeOf(p)
	a := find[*storagev1.VolumeAttachment](w, "volumeattachments", "csi-"+volume)
	if volume == "" || a == nil || a.Spec.NodeName != p.Spec.NodeName {
		return
	}
	if next := find[*corev1.Pod](w, "pods", key(p.Namespace, p.Name)); next != nil && next.Spec.NodeName == p.Spec.NodeName {
		return
	}
	w.erase("volumeattachments", a)
}
