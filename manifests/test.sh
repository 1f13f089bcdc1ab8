#!/bin/sh
# Checks the manifests and the documents: `manifests/test.sh`, with Python 3.10 or later. The packages, pinned, go to .tools/manifests.
set -eu
cd "$(dirname "$0")/.."
venv=.tools/manifests
want=$(cksum manifests/tests/requirements.txt)
if [ "$(cat "$venv/installed" 2>/dev/null)" != "$want" ]; then
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r manifests/tests/requirements.txt
    printf '%s\n' "$want" > "$venv/installed"
fi
# A package of ours brings a pytest plugin that wants more packages than the models do.
export PYTEST_DISABLE_PLUGIN_AUTOLOAD=1
exec "$venv/bin/python" -B -m pytest -q -p no:cacheprovider manifests/tests docs/tests "$@"
