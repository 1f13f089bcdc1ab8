"""What the documents run in a cluster is there under that name, with `manifests/state` and without."""
import copy
import pathlib
import posixpath
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "manifests"
sys.path.insert(0, str(MANIFESTS / "tests"))

import render  # noqa: E402: it stands in the folder above

KINDS = {"deploy": "Deployment", "deployment": "Deployment", "sts": "StatefulSet", "statefulset": "StatefulSet", "svc": "Service", "service": "Service"}
FOLDER = "/etc/lakegate"
PLAIN = render.render(MANIFESTS / "keys", render.render(MANIFESTS / "example"))
DEPLOYED = {"base": PLAIN, "state": render.render(MANIFESTS / "state", copy.deepcopy(PLAIN))}
PAGES = [ROOT / "README.md", ROOT / "policies/README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def lakegate(objects):
    (runs,) = [o for o in objects if o["kind"] in ("Deployment", "StatefulSet") and o["metadata"]["name"] == "lakegate"]
    (container,) = [c for c in runs["spec"]["template"]["spec"]["containers"] if c["name"] == "lakegate"]
    return container


def unknown(text, objects):
    """The paths in lakegate's pod and the objects that a text names and that are not there."""
    container, maps = lakegate(objects), {o["metadata"]["name"]: o["data"] for o in objects if o["kind"] == "ConfigMap"}
    mounts = {m["mountPath"]: m["name"] for m in container["volumeMounts"]}
    for path in re.findall(r"%s(?:/[\w.-]+)+" % FOLDER, text):
        mount = next((m for m in mounts if path == m or path.startswith(m + "/")), None)
        if mount is None:
            yield path
        elif path != mount and mounts[mount] in ("config", "policies") and posixpath.relpath(path, mount) not in maps[f"lakegate-{mounts[mount]}"]:
            yield path
    for path in re.findall(r"--config (%s\S+)" % FOLDER, text):
        if path not in container["args"]:
            yield path
    for kind, name in re.findall(r"(?<![\w/.-])(%s)/(lakegate[\w-]*)" % "|".join(KINDS), text):
        if not any(o["kind"] == KINDS[kind] and o["metadata"]["name"] == name for o in objects):
            yield f"{kind}/{name}"
    yield from {c for c in re.findall(r"kubectl exec .* -c (\S+) --", text) if c != container["name"]}


@pytest.mark.parametrize("deployed", DEPLOYED)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_names_is_there(page, deployed):
    assert list(unknown(page.read_text(), DEPLOYED[deployed])) == []


def test_what_is_not_there_is_found():
    wrong = [
        "kubectl exec deploy/lakegate -c lakegate -- lakegate doctor credentials --config /etc/lakegate/lakegate.yaml",
        "kubectl exec svc/lakegates -c other -- lakegate check --config /etc/lakegate/config/other.yaml",
        "kubectl exec svc/lakegate -c lakegate -- ls /etc/lakegate/state /etc/lakegate/keys/current.pem",
    ]
    found = {name: [list(unknown(line, objects)) for line in wrong] for name, objects in DEPLOYED.items()}
    config, other = "/etc/lakegate/lakegate.yaml", "/etc/lakegate/config/other.yaml"
    assert found["base"] == [[config, config], [other, other, "svc/lakegates", "other"], ["/etc/lakegate/state"]]
    assert found["state"] == [[config, config, "deploy/lakegate"], [other, other, "svc/lakegates", "other"], []]
