"""Schemas: each object against Kubernetes' own, or Istio's, with every unknown field an error.

istiod drops unknown fields without a word (`istioctl analyze` too), so that `selectr:` is a policy for everything in its namespace.
"""
import functools
import json

import kubernetes_validate
from cloudcoil.models.istio.networking import v1 as networking
from cloudcoil.models.istio.security import v1 as security
from pydantic import ValidationError

KUBERNETES = ["1.30", "1.37"]  # the oldest we promise (preStop sleep is on by default since then) and the newest the package has
ISTIO = {"networking.istio.io/v1": networking, "security.istio.io/v1": security}

# MeshConfig has no CRD. Names as in Istio's mesh/v1alpha1 EnvoyExternalAuthorizationGrpcProvider; `clearRouteCache` is left out: istiod does not read it.
PROVIDER = {"service": str, "port": int, "timeout": str, "failOpen": bool, "statusOnError": str,
            "includeRequestBodyInCheck": {"maxRequestBytes": int, "allowPartialMessage": bool, "packAsBytes": bool}}


def faults(obj):
    return judged(json.dumps(obj))


@functools.cache  # the tests change one object of twenty, and a Kubernetes schema takes a second to read
def judged(text):
    obj = json.loads(text)
    where = f"{obj['kind']}/{obj['metadata']['name']}"
    if obj["apiVersion"].split("/")[0].endswith("istio.io"):
        return [f"{where}: {f}" for f in istio(obj)]
    found = []
    for version in KUBERNETES:
        try:
            kubernetes_validate.validate(obj, version, strict=True)
        except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as e:
            found.append(f"{where}: Kubernetes {version}: {getattr(e, 'message', e)}")
    return found


def istio(obj):
    model = getattr(ISTIO.get(obj["apiVersion"]), obj["kind"], None)
    if model is None:
        return [f"no schema for {obj['apiVersion']}"]
    try:
        read = model.model_validate(obj).model_dump(by_alias=True, exclude_unset=True, mode="json")
    except ValidationError as e:
        return [f"{'.'.join(map(str, x['loc']))}: {x['msg']}" for x in e.errors()]
    # The models drop what they do not know, so what does not come back is unknown.
    return list(lost(obj, read, ""))


def lost(given, read, at):
    if isinstance(given, dict) and isinstance(read, dict):
        for key, value in given.items():
            if key not in read:
                yield f"unknown field `{at}{key}`"
            else:
                yield from lost(value, read[key], f"{at}{key}.")
    elif isinstance(given, list) and isinstance(read, list):
        for i, (a, b) in enumerate(zip(given, read)):
            yield from lost(a, b, f"{at}{i}.")


def provider(given, shape=PROVIDER, at="envoyExtAuthzGrpc."):
    for key, value in given.items():
        want = shape.get(key)
        if want is None:
            yield f"MeshConfig: unknown field `{at}{key}`"
        elif isinstance(want, dict):
            yield from provider(value, want, f"{at}{key}.")
        elif type(value) is not want:
            yield f"MeshConfig: `{at}{key}` is not a {want.__name__}"
