// Package conformance runs Gateway API's own conformance suite, unmodified, against the cluster of a
// kubeconfig. What runs is in the pinned modules; `cargo xtask conformance` brings up the cluster, gives
// the flags, and judges what comes out.
package conformance

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/gateway-api/conformance"
	"sigs.k8s.io/gateway-api/conformance/tests"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"
	"sigs.k8s.io/gateway-api/pkg/consts"
	"sigs.k8s.io/gateway-api/pkg/features"
)

var listTo = flag.String("list-to", "", "File that TestList writes the suite's tests to, one a line")

// TestConformance is the suite, as it comes.
func TestConformance(t *testing.T) {
	conformance.RunConformance(t)
}

// TestList writes what the suite holds, so that no test can go missing unseen: first a line with the
// version of Gateway API, then for each test its name, its marks and its features, separated by tabs.
func TestList(t *testing.T) {
	if *listTo == "" {
		t.Skip("no -list-to given")
	}
	lines := make([]string, 0, len(tests.ConformanceTests))
	for _, test := range tests.ConformanceTests {
		lines = append(lines, line(test))
	}
	slices.Sort(lines)
	if len(lines) == 0 {
		t.Fatal("the suite holds no test")
	}
	text := consts.BundleVersion + "\n" + strings.Join(lines, "\n") + "\n"
	if err := os.WriteFile(*listTo, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func line(test suite.ConformanceTest) string {
	names := make([]string, 0, len(test.Features))
	for _, feature := range test.Features {
		names = append(names, string(feature))
	}
	slices.Sort(names)
	return fmt.Sprintf("%s\t%s\t%s", test.ShortName, marks(test), strings.Join(names, ","))
}

func marks(test suite.ConformanceTest) string {
	found := []string{}
	if slices.Contains(test.Features, features.SupportMesh) {
		found = append(found, "mesh")
	}
	if test.Parallel {
		found = append(found, "parallel")
	}
	if test.Provisional {
		found = append(found, "provisional")
	}
	if len(found) == 0 {
		return "-"
	}
	return strings.Join(found, ",")
}
