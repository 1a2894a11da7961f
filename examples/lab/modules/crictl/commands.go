package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/template"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func commands() map[string]func(context.Context, *client) error {
	return map[string]func(context.Context, *client) error{
		"info": info, "pods": pods, "ps": containers, "images": images,
		"inspecti": each(inspectImage), "pull": each(pull), "stopp": each(stopPod), "rmp": each(removePod),
		"stop": each(stop), "logs": each(logs),
	}
}

// each runs a subcommand for every argument.
func each(do func(context.Context, *client, string) error) func(context.Context, *client) error {
	return func(ctx context.Context, c *client) error {
		for _, arg := range c.args {
			if err := do(ctx, c, arg); err != nil {
				return err
			}
		}
		return nil
	}
}

func info(ctx context.Context, c *client) error {
	r, err := c.runtime.Status(ctx, &cri.StatusRequest{Verbose: true})
	if err != nil {
		return err
	}
	all := map[string]any{"status": r.Status}
	for key, value := range r.Info { // JSON, or a string
		var decoded any = value
		_ = json.Unmarshal([]byte(value), &decoded)
		all[key] = decoded
	}
	if c.output != "go-template" {
		out := json.NewEncoder(os.Stdout)
		out.SetIndent("", "  ")
		return out.Encode(all)
	}
	t, err := template.New("template").Parse(c.template)
	if err != nil {
		return err
	}
	defer fmt.Println()
	return t.Execute(os.Stdout, all)
}

func pods(ctx context.Context, c *client) error {
	r, err := c.runtime.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
	if err != nil {
		return err
	}
	for _, p := range r.Items {
		c.print(p.Id, fmt.Sprintf("%s %s/%s", p.State, p.Metadata.Namespace, p.Metadata.Name))
	}
	return nil
}

func containers(ctx context.Context, c *client) error {
	request := &cri.ListContainersRequest{}
	if !c.all {
		request.Filter = &cri.ContainerFilter{State: &cri.ContainerStateValue{State: cri.ContainerState_CONTAINER_RUNNING}}
	}
	r, err := c.runtime.ListContainers(ctx, request)
	if err != nil {
		return err
	}
	for _, x := range r.Containers {
		if c.name == "" || x.Metadata.Name == c.name {
			c.print(x.Id, fmt.Sprintf("%s %s attempt %d %s", x.State, x.Metadata.Name, x.Metadata.Attempt, x.Labels["io.kubernetes.pod.name"]))
		}
	}
	return nil
}

// print prints a whole id alone, for scripts, or its beginning and what it is, for people.
func (c *client) print(id, what string) {
	if c.quiet {
		fmt.Println(id)
		return
	}
	fmt.Println(id[:min(13, len(id))], what)
}

func images(ctx context.Context, c *client) error {
	r, err := c.images.ListImages(ctx, &cri.ListImagesRequest{})
	if err != nil {
		return err
	}
	for _, i := range r.Images {
		fmt.Println(strings.Join(i.RepoTags, ","), i.Id)
	}
	return nil
}

func inspectImage(ctx context.Context, c *client, name string) error {
	r, err := c.images.ImageStatus(ctx, &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: name}})
	if err != nil {
		return err
	}
	if r.Image == nil {
		return fmt.Errorf("no such image %q present", name)
	}
	return json.NewEncoder(os.Stdout).Encode(r.Image)
}

func pull(ctx context.Context, c *client, name string) error {
	r, err := c.images.PullImage(ctx, &cri.PullImageRequest{Image: &cri.ImageSpec{Image: name}})
	if err == nil {
		fmt.Println("Image is up to date for", r.ImageRef)
	}
	return err
}

func stopPod(ctx context.Context, c *client, id string) error {
	_, err := c.runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: id})
	return err
}

func removePod(ctx context.Context, c *client, id string) error {
	_, err := c.runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: id})
	return err
}

func stop(ctx context.Context, c *client, id string) error {
	_, err := c.runtime.StopContainer(ctx, &cri.StopContainerRequest{ContainerId: id, Timeout: stopGrace})
	return err
}

func logs(ctx context.Context, c *client, id string) error {
	r, err := c.runtime.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: id})
	if err != nil {
		return err
	}
	data, err := os.ReadFile(r.Status.LogPath)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(data)
	return err
}
