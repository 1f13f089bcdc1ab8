# Sourced by test.sh and lint.sh, in the project's folder: puts the pinned packages into .tools/manifests, once. Needs Python 3.10 or later.
venv=.tools/manifests
want=$(cksum manifests/tests/requirements.txt)
if [ "$(cat "$venv/installed" 2>/dev/null)" != "$want" ]; then
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r manifests/tests/requirements.txt
    printf '%s\n' "$want" > "$venv/installed"
fi
