// Command compare prints what Argo CD's diff engine makes of manifests and the objects that are live now.
//
//	compare [-server-side] [-gone FILE]... FILE...
//
// The files hold manifests, one object a document. An object of a -gone file has left Git while Argo CD still tracks it.
// It reads the cluster that KUBECONFIG names and prints one JSON object a line; it changes nothing.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/argoproj/gitops-engine/pkg/diff"
	"github.com/argoproj/gitops-engine/pkg/utils/kube"
	"github.com/argoproj/gitops-engine/pkg/utils/tracing"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2/textlogger"
	kubeyaml "sigs.k8s.io/yaml"
)

// The field manager that Argo CD writes with.
const manager = "argocd-controller"

// What the engine says of one object.
type verdict struct {
	Object    string `json:"object"`
	Gone      bool   `json:"gone"`
	Modified  bool   `json:"modified"`
	Live      string `json:"live"`
	Predicted string `json:"predicted"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(2)
	}
}

func run() error {
	serverSide := flag.Bool("server-side", false, "by a server-side apply on trial, as with ServerSideDiff=true")
	var gone []string
	flag.Func("gone", "a manifest that has left Git", func(file string) error {
		gone = append(gone, file)
		return nil
	})
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return fmt.Errorf("cannot read `%s`: %w", os.Getenv("KUBECONFIG"), err)
	}
	engine, err := newEngine(config, *serverSide)
	if err != nil {
		return err
	}
	defer engine.cleanup()
	for _, file := range flag.Args() {
		if err := engine.judgeFile(file, false); err != nil {
			return err
		}
	}
	for _, file := range gone {
		if err := engine.judgeFile(file, true); err != nil {
			return err
		}
	}
	return nil
}

// The engine with the options that Argo CD gives it.
type engine struct {
	config  *rest.Config
	kubectl kube.KubectlCmd
	options []diff.Option
	cleanup func()
}

func newEngine(config *rest.Config, serverSide bool) (*engine, error) {
	log := textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(io.Discard)))
	it := &engine{
		config:  config,
		kubectl: kube.KubectlCmd{Log: log, Tracer: tracing.NopTracer{}},
		options: []diff.Option{diff.WithLogr(log), diff.WithManager(manager)},
		cleanup: func() {},
	}
	if !serverSide {
		return it, nil
	}
	resources, parser, err := it.kubectl.LoadOpenAPISchema(config)
	if err != nil {
		return nil, fmt.Errorf("cannot read the server's schema: %w", err)
	}
	onRun := func(string) (kube.CleanupFunc, error) { return func() {}, nil }
	applier, cleanup, err := kube.ManageServerSideDiffDryRuns(config, resources, it.kubectl.Tracer, log, onRun)
	if err != nil {
		return nil, fmt.Errorf("cannot make an applier: %w", err)
	}
	it.cleanup = cleanup
	it.options = append(it.options, diff.WithServerSideDiff(true), diff.WithGVKParser(parser),
		diff.WithServerSideDryRunner(diff.NewK8sServerSideDryRunner(applier)))
	return it, nil
}

func (it *engine) judgeFile(file string, gone bool) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot read `%s`: %w", file, err)
		}
		object := &unstructured.Unstructured{}
		if err := kubeyaml.Unmarshal(document, &object.Object); err != nil {
			return fmt.Errorf("cannot read `%s`: %w", file, err)
		}
		if len(object.Object) == 0 {
			continue
		}
		if err := it.judge(object, gone); err != nil {
			return fmt.Errorf("cannot judge %s `%s`: %w", object.GetKind(), object.GetName(), err)
		}
	}
}

func (it *engine) judge(desired *unstructured.Unstructured, gone bool) error {
	live, err := it.kubectl.GetResource(context.Background(), it.config, desired.GroupVersionKind(), desired.GetName(), desired.GetNamespace())
	if apierrors.IsNotFound(err) {
		live, err = nil, nil
	}
	if err != nil {
		return err
	}
	said := verdict{Object: desired.GetKind() + "/" + desired.GetName(), Gone: gone}
	if gone {
		// The engine is not asked: Argo CD's controller calls what it tracks and Git does not have OutOfSync.
		said.Modified = live != nil
		return json.NewEncoder(os.Stdout).Encode(said)
	}
	result, err := diff.Diff(desired, live, it.options...)
	if err != nil {
		return err
	}
	said.Modified = result.Modified
	if said.Live, err = asYAML(result.NormalizedLive); err != nil {
		return err
	}
	if said.Predicted, err = asYAML(result.PredictedLive); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(said)
}

func asYAML(text []byte) (string, error) {
	if string(text) == "null" || len(text) == 0 {
		return "", nil
	}
	yaml, err := kubeyaml.JSONToYAML(text)
	return string(yaml), err
}
