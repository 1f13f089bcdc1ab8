"""What every pod of ours keeps to, whatever its overlay changes."""
from render import WORKLOADS, containers


def faults(objects):
    for d in (o for o in objects if o["kind"] in WORKLOADS):
        name, pod = d["metadata"]["name"], d["spec"]["template"]["spec"]
        context = pod.get("securityContext", {})
        if not context.get("runAsNonRoot") or context.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{name}: it may run as root, or without seccomp"
        if d["spec"].get("replicas", 1) < 2:
            yield f"{name}: one replica is no replica while it restarts"
        if not any(o["kind"] == "PodDisruptionBudget" and o["metadata"].get("namespace") == d["metadata"].get("namespace")
                   and o["spec"].get("selector", {}).get("matchLabels", {}).items() <= d["spec"]["template"]["metadata"]["labels"].items() for o in objects):
            yield f"{name}: no PodDisruptionBudget"
        for c in containers([d]):
            own = c.get("securityContext", {})
            if own.get("allowPrivilegeEscalation") is not False or own.get("readOnlyRootFilesystem") is not True or own.get("capabilities") != {"drop": ["ALL"]}:
                yield f"{name}/{c['name']}: it can gain privileges or write to its root"
            if not {"requests", "limits"} <= set(c.get("resources", {})):
                yield f"{name}/{c['name']}: no resources"
        if name == "lakegate":
            yield from serving(name, pod)


def serving(name, pod):
    if pod.get("automountServiceAccountToken") is not False:
        yield f"{name}: a token that it never needs"
    (main,) = [c for c in pod["containers"] if c["name"] == "lakegate"]
    probes = {p: main.get(p, {}).get("httpGet", {}) for p in ("readinessProbe", "livenessProbe")}
    if probes["readinessProbe"] != {"path": "/readyz", "port": "admin"} or probes["livenessProbe"] != {"path": "/livez", "port": "admin"}:
        yield f"{name}: probes that do not ask the admin port"
    pause = main.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    if pause < 1 or pod.get("terminationGracePeriodSeconds", 30) < pause + 15:
        yield f"{name}: no time to leave the endpoints and drain"
    if any("subPath" in m for m in main.get("volumeMounts", [])):
        yield f"{name}: a subPath mount never sees a changed ConfigMap"
    tokens = [v["name"] for v in pod.get("volumes", []) if any("serviceAccountToken" in s for s in v.get("projected", {}).get("sources", []))]
    if any(m["name"] in tokens for m in main.get("volumeMounts", [])):
        yield f"{name}: lakegate itself has a token"
