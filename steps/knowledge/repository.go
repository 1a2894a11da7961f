package knowledge

// A Repository is what has happened to the repositories of packages.
type Repository struct {
	ExpiredKeys []SigningKey       `yaml:"expiredKeys" required:"true" doc:"keys that packages cannot be checked with any more"`
	Legacy      []LegacyRepository `yaml:"legacy" required:"true" doc:"repositories that are gone"`
}

// A SigningKey is a key of the repositories pkgs.k8s.io/core:/stable:/v1.N that has expired.
type SigningKey struct {
	ID      string `yaml:"id" required:"true" doc:"16 hexadecimal digits in upper case, as gpg and apt print them"`
	Expired string `yaml:"expired" required:"true" doc:"the day, as 2024-11-02"`
	From    Minor  `yaml:"from" required:"true" doc:"the first repository that was signed with it"`
	To      Minor  `yaml:"to" required:"true" doc:"the last repository that was signed with it"`
	Remedy  string `yaml:"remedy" required:"true"`
	Source  string `yaml:"source" required:"true"`
}

// A LegacyRepository is a repository that is gone. A host that still lists it cannot refresh its package lists.
type LegacyRepository struct {
	Hosts   []string `yaml:"hosts" required:"true" doc:"names of its servers"`
	Frozen  string   `yaml:"frozen" required:"true" doc:"the day since which nothing new came, as 2023-09-13"`
	Removed string   `yaml:"removed" required:"true" doc:"the day since which it is gone, as 2024-03-04"`
	Remedy  string   `yaml:"remedy" required:"true"`
	Source  string   `yaml:"source" required:"true"`
}
