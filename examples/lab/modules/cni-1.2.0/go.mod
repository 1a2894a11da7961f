module upgrader.dev/upgrader/examples/lab/modules/cni-1.2.0

go 1.21

require github.com/containernetworking/plugins v1.2.0 // indirect
