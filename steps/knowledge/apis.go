package knowledge

// An API is one kind in one API version that the API server stopped serving.
type API struct {
	Group           string `yaml:"group" required:"true" doc:"such as policy"`
	Version         string `yaml:"version" required:"true" doc:"such as v1beta1"`
	Kind            string `yaml:"kind" required:"true"`
	Resource        string `yaml:"resource" required:"true" doc:"the plural in lower case, as in the path of the API"`
	Namespaced      bool   `yaml:"namespaced" doc:"its objects are in namespaces"`
	RemovedIn       Minor  `yaml:"removedIn" required:"true" doc:"the first minor that does not serve it"`
	Replacement     string `yaml:"replacement" doc:"what to use instead, served by removedIn: an API version and a kind; empty: nothing"`
	ServedByDefault bool   `yaml:"servedByDefault" doc:"it was served without --runtime-config"`
	DeleteBefore    bool   `yaml:"deleteBefore" doc:"objects have to be deleted before the upgrade: nothing can read them afterwards"`
	Note            string `yaml:"note" doc:"what is different in the replacement, or else worth knowing"`
	Source          string `yaml:"source" required:"true"`
}

// APIVersion returns what objects have as apiVersion: "policy/v1beta1".
func (a API) APIVersion() string { return a.Group + "/" + a.Version }

// APIsRemoved returns the API versions that an upgrade takes away, by minor, group, version and kind.
func (b *Base) APIsRemoved(after, upTo Minor) []API {
	var list []API
	for _, a := range b.all.APIs {
		if a.RemovedIn.within(after, upTo) {
			list = append(list, a)
		}
	}
	return list
}

// A Volume is a volume plugin that Kubernetes does not have any more.
type Volume struct {
	Name      string `yaml:"name" required:"true" doc:"the field of a PersistentVolume or of a volume of a pod, such as awsElasticBlockStore"`
	RemovedIn Minor  `yaml:"removedIn" required:"true" doc:"the first minor without it"`
	CSIDriver string `yaml:"csiDriver" doc:"the driver that Kubernetes hands such volumes to by itself, and that has to be installed; empty: there is none"`
	Note      string `yaml:"note" doc:"what else is worth knowing"`
	Source    string `yaml:"source" required:"true"`
}

// VolumesRemoved returns the volume plugins that an upgrade takes away, by minor.
func (b *Base) VolumesRemoved(after, upTo Minor) []Volume {
	var list []Volume
	for _, v := range b.all.Volumes {
		if v.RemovedIn.within(after, upTo) {
			list = append(list, v)
		}
	}
	return list
}
