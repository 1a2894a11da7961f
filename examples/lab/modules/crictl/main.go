// crictl speaks to a container runtime over its socket, CRI v1: the subcommands that kubeadm calls, and those that
// people use to look around.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	version         = "v1.28.0"
	defaultEndpoint = "unix:///run/containerd/containerd.sock"
	// maxMessage is the size of an answer that is accepted: of many containers with all their labels.
	maxMessage = 16 << 20
	// stopGrace are the seconds that a container has to stop.
	stopGrace = 10
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "crictl:", err)
		os.Exit(1)
	}
}

// A client is a connection, and what the command line says.
type client struct {
	runtime cri.RuntimeServiceClient
	images  cri.ImageServiceClient

	quiet, all             bool
	output, template, name string
	args                   []string
}

func run(args []string) error {
	f := flag.NewFlagSet("crictl", flag.ExitOnError)
	endpoint := defaultEndpoint
	for _, name := range []string{"r", "runtime-endpoint", "i", "image-endpoint"} {
		f.StringVar(&endpoint, name, endpoint, "socket of the container runtime")
	}
	f.Bool("D", false, "ignored")
	showVersion := f.Bool("version", false, "print the version")
	timeout := f.Duration("timeout", 2*time.Minute, "limit of one call")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *showVersion {
		fmt.Println("crictl version", version)
		return nil
	}
	do := commands()[f.Arg(0)]
	if do == nil {
		return fmt.Errorf("%q is none of its subcommands: info, pods, ps, images, inspecti, pull, stopp, rmp, stop, logs", f.Arg(0))
	}
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	return call(ctx, do, endpoint, f.Args())
}

// call connects and runs one subcommand.
func call(ctx context.Context, do func(context.Context, *client) error, endpoint string, args []string) error {
	c := &client{}
	f := flag.NewFlagSet(args[0], flag.ExitOnError)
	f.BoolVar(&c.quiet, "q", false, "only ids")
	f.BoolVar(&c.all, "a", false, "also what has stopped")
	f.StringVar(&c.output, "o", "json", "json or go-template")
	f.StringVar(&c.template, "template", "", "template for -o go-template")
	f.StringVar(&c.name, "name", "", "only containers of this name")
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	c.args = f.Args()
	if !strings.Contains(endpoint, "://") {
		endpoint = "unix://" + endpoint
	}
	conn, err := grpc.DialContext(ctx, endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)))
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", endpoint, err)
	}
	defer conn.Close()
	c.runtime, c.images = cri.NewRuntimeServiceClient(conn), cri.NewImageServiceClient(conn)
	return do(ctx, c)
}
