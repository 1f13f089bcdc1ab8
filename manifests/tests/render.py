"""A renderer of the kustomize features that these manifests use, and of no other.

kustomize is a Go program that no Python package carries, and the tests must run where only Python is installed. So anything this file does not know is an
error, and where a real `kubectl` is at hand a test compares the two.
"""
import pathlib

import yaml


class Unsupported(Exception):
    """A kustomization uses what this renderer does not know."""


class StrictLoader(yaml.SafeLoader):
    """YAML in which a key given twice is an error; plain YAML lets the last one win."""


def mapping(loader, node, deep=False):
    seen = set()
    for key, _ in node.value:
        if key.value in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key `{key.value}` stands twice", key.start_mark)
        seen.add(key.value)
    return yaml.SafeLoader.construct_mapping(loader, node, deep)


# A date stays the text that it was, as in Kubernetes.
StrictLoader.yaml_implicit_resolvers = {c: [r for r in rs if r[0] != "tag:yaml.org,2002:timestamp"] for c, rs in yaml.SafeLoader.yaml_implicit_resolvers.items()}
StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, lambda loader, node: mapping(loader, node, deep=True))


def documents(path):
    return parse(pathlib.Path(path).read_text())


def parse(text):
    """The documents of a YAML text; a `List`, as kubectl prints it, is its items."""
    read = [d for d in yaml.load_all(text, Loader=StrictLoader) if d is not None]
    return [o for d in read for o in (d["items"] if d.get("kind") == "List" else [d])]


def known(where, given, allowed):
    if extra := set(given) - set(allowed):
        raise Unsupported(f"{where}: {sorted(extra)}")


def render(folder, below=()):
    """The Kubernetes objects of a kustomization or component; `below` are those to which a component is applied."""
    file = pathlib.Path(folder) / "kustomization.yaml"
    (spec,) = documents(file)
    known(file, spec, ["apiVersion", "kind", "resources", "components", "configMapGenerator", "images", "patches"])
    if (spec["kind"], spec["apiVersion"]) not in [("Kustomization", "kustomize.config.k8s.io/v1beta1"), ("Component", "kustomize.config.k8s.io/v1alpha1")]:
        raise Unsupported(f"{file}: {spec['kind']} of {spec['apiVersion']}")
    objects = list(below)
    for entry in spec.get("resources", []):
        path = file.parent / entry
        objects += render(path) if path.is_dir() else documents(path)
    objects += [config_map(file, g) for g in spec.get("configMapGenerator", [])]
    for entry in spec.get("components", []):
        objects = render(file.parent / entry, objects)
    for entry in spec.get("patches", []):
        patch(file, entry, objects)
    for image in spec.get("images", []):
        known(file, image, ["name", "newName", "newTag"])
        for container in containers(objects):
            if container["image"] == image["name"]:
                container["image"] = f"{image['newName']}:{image['newTag']}"
    names = [(o["apiVersion"].split("/")[0], o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in objects]
    if twice := {str(n) for n in names if names.count(n) > 1}:
        raise Unsupported(f"{file}: the same object twice: {sorted(twice)}")
    return objects


def config_map(file, generator):
    known(file, generator, ["name", "namespace", "files", "options"])
    if generator.get("options") != {"disableNameSuffixHash": True}:
        raise Unsupported(f"{file}: a name with a hash")
    data = {pathlib.Path(f).name: (file.parent / f).read_text() for f in generator["files"]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"], "namespace": generator["namespace"]}, "data": data}


def patch(file, entry, objects):
    """Applies a JSON Patch (RFC 6902) of a file to the one object that it is for."""
    known(file, entry, ["path", "target"])
    target = entry["target"]
    known(file, target, ["kind", "name"])
    found = [o for o in objects if (o["kind"], o["metadata"]["name"]) == (target["kind"], target["name"])]
    if len(found) != 1:
        raise Unsupported(f"{file}: a patch for {len(found)} objects")
    for operation in yaml.load((file.parent / entry["path"]).read_text(), Loader=StrictLoader):
        known(entry["path"], operation, ["op", "path", "value"])
        *above, last = operation["path"].strip("/").split("/")
        place = found[0]
        for key in above:
            place = place[int(key) if isinstance(place, list) else key]
        match operation["op"], place:
            case "add", list() if last == "-":
                place.append(operation["value"])
            case "add", dict():
                place[last] = operation["value"]
            case "replace", dict() if last in place:
                place[last] = operation["value"]
            case "remove", dict() if last in place:
                del place[last]
            case op, _:
                raise Unsupported(f"{entry['path']}: {op} of {operation['path']}")


# Kinds whose pods stay: what runs lakegate and the gateway.
WORKLOADS = ("Deployment", "StatefulSet")


def containers(objects):
    for o in objects:
        pod = o.get("spec", {}).get("template", {}).get("spec", {}) if o["kind"] in WORKLOADS else {}
        yield from pod.get("initContainers", []) + pod.get("containers", [])
