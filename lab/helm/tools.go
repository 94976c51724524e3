//go:build tools

// Package helm names what is built here: without the import, go.sum would lack what the build needs.
package helm

import _ "helm.sh/helm/v4/cmd/helm"
