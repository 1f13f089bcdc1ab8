#!/bin/sh
# Checks the manifests and the documents: `manifests/test.sh`; arguments go to pytest.
set -eu
cd "$(dirname "$0")/.."
. manifests/tests/venv.sh
# One of the packages brings a pytest plugin that wants more packages than we need.
export PYTEST_DISABLE_PLUGIN_AUTOLOAD=1
exec "$venv/bin/python" -B -m pytest -q -p no:cacheprovider manifests/tests docs/tests "$@"
