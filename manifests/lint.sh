#!/bin/sh
# Judges rendered manifests: `kubectl kustomize my-overlay | manifests/lint.sh --mesh manifests/meshconfig.yaml`. Run it in the project's folder.
set -eu
. manifests/tests/venv.sh
exec "$venv/bin/python" -B manifests/tests/lint.py "$@"
