"""Judges manifests as they would be applied, for an overlay of your own: `kubectl kustomize DIR | manifests/lint.sh --mesh MESHCONFIG`.

Exit code 0 without a fault, 1 with one.
"""
import argparse
import sys

import hardening
import render
import schemas
import wiring


def malformed(w):
    providers = [f for p in w.providers() for f in schemas.provider(p.get("envoyExtAuthzGrpc", {}))]
    return [f for o in w.objects for f in schemas.faults(o)] + providers


def unsafe(objects):
    return list(hardening.faults(objects))


def lakegate_yaml(objects):
    for o in objects:
        if o["kind"] == "ConfigMap" and "lakegate.yaml" in o.get("data", {}):
            (config,) = render.parse(o["data"]["lakegate.yaml"])
            return config
    return {}


def main(arguments):
    ap = argparse.ArgumentParser(prog="manifests/lint.sh")
    ap.add_argument("--mesh", required=True, help="MeshConfig: the values for istiod, or what the ConfigMap `istio` holds under `mesh`")
    ap.add_argument("--shadow", action="store_true", help="shadow mode is meant: do not count it as a fault")
    ap.add_argument("files", nargs="*", help="rendered manifests, or what `kubectl get -o yaml` prints of a gateway that is there; standard input without")
    args = ap.parse_args(arguments)
    objects = [o for f in args.files for o in render.documents(f)] if args.files else render.parse(sys.stdin.read())
    (mesh,) = render.documents(args.mesh)
    w = wiring.Wiring(objects, mesh, lakegate_yaml(objects), args.shadow)
    # What is malformed is not judged any further: a misspelt key reads as a missing one.
    found = malformed(w) or wiring.faults(w) + unsafe([o for o in objects if o["metadata"].get("namespace") == "lakegate-system"])
    count = f"{len(found)} fault{'s' * (len(found) > 1)}" if found else "no fault"
    print(*found, count, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
