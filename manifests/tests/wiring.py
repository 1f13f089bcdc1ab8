"""What the schemas cannot see: whether the objects, MeshConfig and lakegate.yaml name each other, so that every call is asked about.

Most of these faults are silent in Istio: no filter, no check, and the call passes. `faults` returns a sentence for each.
"""
import posixpath
import re

import yaml

from render import WORKLOADS

# Envoy's StatusCode enum from 400 on; istiod turns any other value into a deny of everything.
STATUS = {str(s) for s in (400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 423, 424, 426, 428, 429, 431,
                           500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511)}
ROOT_NAMESPACE = "istio-system"
# What lakegate wants to see of a body. A longer one is refused where it decides, so less than this refuses calls that clients make.
BODY = 65536


class Wiring:
    """The rendered objects, the MeshConfig fragment and lakegate.yaml, each as parsed YAML; `shadow` where shadow mode is meant."""

    def __init__(self, objects, mesh, config, shadow=False):
        self.objects, self.mesh, self.config, self.shadow = objects, mesh, config, shadow

    def all(self, kind):
        return [o for o in self.objects if o["kind"] == kind]

    def service(self, host):
        for s in self.all("Service"):
            if host == f"{s['metadata']['name']}.{s['metadata']['namespace']}.svc.cluster.local":
                return s

    def pods(self, namespace, selector):
        """What runs the pods of a namespace that carry all of these labels."""
        return [d for kind in WORKLOADS for d in self.all(kind) if d["metadata"]["namespace"] == namespace
                and (selector or {"": ""}).items() <= labels(d).items()]

    def behind(self, service):
        return self.pods(service["metadata"]["namespace"], service["spec"].get("selector", {}))

    def providers(self):
        return self.mesh.get("meshConfig", self.mesh).get("extensionProviders", [])

    def entries(self):
        """Each host outside the mesh, with its ports."""
        return {h: {p["number"] for p in e["spec"].get("ports", [])} for e in self.all("ServiceEntry") for h in e["spec"]["hosts"]}

    def inward(self, route):
        """Whether it leads to lakegate's own pods, and so is not the way of a call."""
        behind = [self.service(to["destination"]["host"]) for r in route["spec"].get("http", []) for to in r.get("route", [])]
        return any(s and s["metadata"]["namespace"] == "lakegate-system" for s in behind)

    def routes(self):
        """The routes that calls take."""
        return [v for v in self.all("VirtualService") if not self.inward(v)]

    def has_port(self, host, port):
        service = self.service(host)
        ports = {p["port"] for p in service["spec"]["ports"]} if service else self.entries().get(host, set())
        return port in ports


def identity(deployment):
    return f"spiffe://cluster.local/ns/{deployment['metadata']['namespace']}/sa/{deployment['spec']['template']['spec'].get('serviceAccountName', 'default')}"


def labels(deployment):
    return deployment["spec"]["template"]["metadata"].get("labels", {})


def faults(w):
    return [f for check in (providers, policies, gateways, headers, routes, rules, hosts, config, state, keys, published, doors, collector) for f in check(w)]


def providers(w):
    for p in w.providers():
        name, grpc = p["name"], p.get("envoyExtAuthzGrpc", {})
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name):
            yield f"provider `{name}`: the name is not a lower-case DNS label, so every call is denied"
        service = w.service(grpc.get("service", ""))
        if service is None:
            yield f"provider `{name}`: there is no service `{grpc.get('service')}`, so every call is denied"
        elif not w.has_port(grpc["service"], grpc.get("port")):
            yield f"provider `{name}`: the service has no port {grpc.get('port')}, so every call is 503"
        if grpc.get("failOpen"):
            yield f"provider `{name}`: failOpen lets every call pass while lakegate is down or slow"
        if not (m := re.fullmatch(r"(\d+(?:\.\d+)?)s", str(grpc.get("timeout", "")))) or not 0 < float(m[1]) <= 5:
            yield f"provider `{name}`: without a timeout of at most 5s a call hangs up to 600 s"
        status = grpc.get("statusOnError")
        if status not in STATUS:
            yield f"provider `{name}`: statusOnError is none of Envoy's statuses, so every call is denied, or missing, and an outage looks like a decision"
        elif status < "500":
            yield f"provider `{name}`: statusOnError {status} makes an outage look like a decision; 503 says what it is"
        body = grpc.get("includeRequestBodyInCheck", {})
        if not (body.get("maxRequestBytes") and body.get("allowPartialMessage") and body.get("packAsBytes")):
            yield f"provider `{name}`: bodies must be sent, as bytes, and long ones in part"
        elif body["maxRequestBytes"] < BODY:
            yield f"provider `{name}`: maxRequestBytes is below {BODY}, so calls whose body decides are refused as too long"


def policies(w):
    names = [p["name"] for p in w.providers()]
    for p in w.all("AuthorizationPolicy"):
        name, namespace, spec = p["metadata"]["name"], p["metadata"]["namespace"], p["spec"]
        if spec.get("action") != "CUSTOM":
            continue
        if "istio.io/dry-run" in p["metadata"].get("annotations", {}):
            yield f"policy `{name}`: dry-run on a CUSTOM policy is an enforced deny"
        if spec.get("provider", {}).get("name") not in names:
            yield f"policy `{name}`: MeshConfig has no provider of that name, so every call is denied"
        chosen = spec.get("selector", {}).get("matchLabels")
        if not chosen or namespace == ROOT_NAMESPACE:
            yield f"policy `{name}`: it applies to more than the gateway"
        elif not w.pods(namespace, chosen):
            yield f"policy `{name}`: its selector matches no pod of its namespace, so every call passes unasked"
        if spec.get("rules") != [{}]:
            yield f"policy `{name}`: only `rules: [{{}}]` asks about every call"


def headers(w):
    """What the router of a guarded gateway adds behind the check leaves the mesh (`ProxyHeaders` of istio.mesh.v1alpha1)."""
    default = w.mesh.get("meshConfig", w.mesh).get("defaultConfig") or {}
    for p in w.all("AuthorizationPolicy"):
        chosen = p["spec"].get("selector", {}).get("matchLabels")
        if p["spec"].get("action") != "CUSTOM" or not chosen:
            continue
        for d in w.pods(p["metadata"]["namespace"], chosen):
            own = yaml.safe_load(d["spec"]["template"]["metadata"].get("annotations", {}).get("proxy.istio.io/config", "{}")) or {}
            said = [c.get("proxyHeaders", {}).get("envoyDebugHeaders", {}).get("disabled") for c in (own, default)]
            if not next((s for s in said if s is not None), False):
                yield (f"gateway `{d['metadata']['name']}`: its router tells Databricks the route's timeout (`x-envoy-expected-rq-timeout-ms`): "
                       "set `proxyHeaders.envoyDebugHeaders.disabled: true` in its annotation `proxy.istio.io/config`")


def gateways(w):
    services = {(d["metadata"]["namespace"], d["metadata"]["name"]): s for s in w.all("Service") for d in w.behind(s)}
    for g in w.all("Gateway"):
        name, pods = g["metadata"]["name"], w.pods(g["metadata"]["namespace"], g["spec"].get("selector"))
        if not pods:
            yield f"gateway `{name}`: its selector matches no pod"
        for d in pods:
            namespace = d["metadata"]["namespace"]
            asked = [p["spec"].get("provider", {}).get("name") for p in w.all("AuthorizationPolicy") if p["spec"].get("action") == "CUSTOM"
                     and p["metadata"]["namespace"] == namespace and p["spec"].get("selector", {}).get("matchLabels", {}).items() <= labels(d).items()]
            if not asked:
                yield f"gateway `{name}`: no CUSTOM policy guards its pods, so every call passes unasked"
            if len(set(asked)) > 1:
                yield f"gateway `{name}`: two providers on one workload deny every call"
            strict = [a for a in w.all("PeerAuthentication") if a["metadata"]["namespace"] in (namespace, ROOT_NAMESPACE) and a["spec"].get("mtls", {}).get("mode") == "STRICT"]
            if not strict:
                yield f"gateway `{name}`: no PeerAuthentication makes mTLS STRICT, so a call may come without an identity"
            service = services.get((namespace, d["metadata"]["name"]))
            for port in (s["port"]["number"] for s in g["spec"]["servers"]):
                if service is None or port not in {p["port"] for p in service["spec"]["ports"]}:
                    yield f"gateway `{name}`: no service leads to port {port}"
        for s in g["spec"]["servers"]:
            if s.get("tls", {}).get("mode") != "ISTIO_MUTUAL" or s["port"]["protocol"] != "HTTPS":
                yield f"gateway `{name}`: only HTTPS with ISTIO_MUTUAL gives the caller's identity and the request"


def routes(w):
    known = {"mesh"} | {f"{g['metadata']['namespace']}/{g['metadata']['name']}" for g in w.all("Gateway")}
    subsets = {(d["spec"]["host"], s["name"]) for d in w.all("DestinationRule") for s in d["spec"].get("subsets", [])}
    for v in w.routes():
        name, spec = v["metadata"]["name"], v["spec"]
        matched = [m for r in spec.get("http", []) for m in r.get("match", [])]
        for gateway in set(spec.get("gateways", ["mesh"])) | {g for m in matched for g in m.get("gateways", [])}:
            if gateway not in known:
                yield f"route `{name}`: there is no gateway `{gateway}`"
        if not any("mesh" in m.get("gateways", []) and m.get("port") == 80 for m in matched):
            yield f"route `{name}`: without a mesh route calls go past the gateway"
        if spec.get("tls") or spec.get("tcp"):
            yield f"route `{name}`: in TLS or TCP nobody can read what the call would do"
        for r in spec.get("http", []):
            if not re.fullmatch(r"[1-9]\d*s", r.get("timeout", "")):
                yield f"route `{name}`: a route without a longest duration"
            if r.get("retries", {}).get("attempts") != 0:
                yield f"route `{name}`: Istio's retries repeat calls that change something"
            for to in (d["destination"] for d in r.get("route", [])):
                port = to.get("port", {}).get("number")
                if not w.has_port(to["host"], port):
                    yield f"route `{name}`: nothing listens at {to['host']}:{port}"
                if "subset" in to and (to["host"], to["subset"]) not in subsets:
                    yield f"route `{name}`: `{to['host']}` has no subset `{to['subset']}`"
                mesh = any("mesh" in m.get("gateways", []) for m in r.get("match", []))
                if mesh and w.service(to["host"]) is None:
                    yield f"route `{name}`: the mesh route does not lead to the gateway"


def rules(w):
    """TLS on each of the three ways: sidecar to gateway, gateway to Databricks, gateway to lakegate."""
    for d in w.all("DestinationRule"):
        name, host, spec = d["metadata"]["name"], d["spec"]["host"], d["spec"]
        service = w.service(host)
        if service is None and host not in w.entries():
            yield f"rule `{name}`: there is no host `{host}`"
        for tls in tls_settings(spec.get("trafficPolicy", {})) + [t for s in spec.get("subsets", []) for t in tls_settings(s.get("trafficPolicy", {}))]:
            if service and tls.get("mode") != "ISTIO_MUTUAL":
                yield f"rule `{name}`: inside the mesh only ISTIO_MUTUAL shows who calls"
            if not service and (tls.get("mode") != "SIMPLE" or tls.get("sni") != host or tls.get("subjectAltNames") != [host]):
                yield f"rule `{name}`: TLS to `{host}` needs SIMPLE with its sni and subjectAltNames, else nobody verifies whom we reach"
    for host in w.entries():
        if not any(d["spec"]["host"] == host and tls_settings(d["spec"].get("trafficPolicy", {})) for d in w.all("DestinationRule")):
            yield f"host `{host}`: no rule originates TLS to it"
    for host in {p.get("envoyExtAuthzGrpc", {}).get("service", "") for p in w.providers()}:
        want = [identity(d) for d in w.behind(w.service(host))] if w.service(host) else []
        got = [t.get("subjectAltNames") for d in w.all("DestinationRule") if d["spec"]["host"] == host for t in tls_settings(d["spec"].get("trafficPolicy", {}))]
        if want and got != [want]:
            yield f"host `{host}`: no rule names the one identity that may answer as lakegate"


def tls_settings(policy):
    return [p["tls"] for p in [policy, *policy.get("portLevelSettings", [])] if "tls" in p]


def bare(host):
    """A Gateway's host without the namespace that may stand before it."""
    return host.rpartition("/")[2]


def hosts(w):
    """A host stands in every place, or in none."""
    places = {"ServiceEntry": set(w.entries()), "lakegate.yaml": {h for t in ("workspaces", "accounts", "services") for x in w.config.get(t, []) for h in x["hosts"]},
              "Gateway": {h for g in w.all("Gateway") for s in g["spec"]["servers"] for h in map(bare, s["hosts"])}, "VirtualService": {h for v in w.routes() for h in v["spec"]["hosts"]}}
    for host in set().union(*places.values()):
        if "*" in host:
            yield f"host `{host}`: a wildcard also covers what nobody thought of; name the hosts"
        for place in sorted(p for p, has in places.items() if host not in has):
            yield f"host `{host}`: missing in {place}"
    for e in w.all("ServiceEntry"):
        if {(p["number"], p["protocol"]) for p in e["spec"].get("ports", [])} != {(80, "HTTP"), (443, "HTTPS")} or e["spec"].get("location") != "MESH_EXTERNAL" or e["spec"].get("resolution") != "DNS":
            yield f"entry `{e['metadata']['name']}`: it must be MESH_EXTERNAL, by DNS, 80 HTTP for the callers and 443 HTTPS for the gateway"


def config(w):
    """lakegate.yaml against the pod it runs in and the gateway that asks it."""
    listen = w.config.get("listen", {})
    gateways = {identity(d) for g in w.all("Gateway") for d in w.pods(g["metadata"]["namespace"], g["spec"].get("selector"))}
    if gateways and set(listen.get("tls", {}).get("allow", [])) != gateways:
        yield f"lakegate.yaml: `listen.tls.allow` is not exactly the gateway's identity, {sorted(gateways)}"
    for d in (d for p in w.providers() if (s := w.service(p.get("envoyExtAuthzGrpc", {}).get("service", ""))) for d in w.behind(s)):
        container = next((c for c in d["spec"]["template"]["spec"]["containers"] if c["name"] == "lakegate"), None)
        if container is None:
            yield f"{d['metadata']['name']}: it has no container `lakegate`"
            continue
        ports = {p.get("name"): p["containerPort"] for p in container.get("ports", [])}
        for key in ("check", "admin"):
            if listen.get(key) != f"0.0.0.0:{ports.get(key)}":
                yield f"lakegate.yaml: `listen.{key}` is not the pod's port `{key}` on all addresses"
        mounts = {m["mountPath"].rsplit("/", 1)[1] for m in container.get("volumeMounts", [])}
        for path in [listen.get("tls", {}).get(k, "") for k in ("cert", "key", "client_ca")] + [w.config.get("policy", {}).get("dir", "")] + [p for p in [w.config.get("policy", {}).get("candidate")] if p]:
            if not (m := re.fullmatch(r"\.\./([a-z]+)(/[a-z.-]+)?", path)) or m[1] not in mounts:
                yield f"lakegate.yaml: `{path}` is in none of the pod's volumes"


def state(w):
    if not (folder := w.config.get("state_dir")):
        return
    for d in w.pods("lakegate-system", {"app.kubernetes.io/name": "lakegate"}):
        pod, path = d["spec"]["template"]["spec"], posixpath.normpath(posixpath.join("/etc/lakegate/config", folder))
        kept = {t["metadata"]["name"] for t in d["spec"].get("volumeClaimTemplates", [])}
        mounts = [m for c in pod["containers"] if c["name"] == "lakegate" for m in c.get("volumeMounts", []) if not m.get("readOnly")]
        if not any(m["name"] in kept and posixpath.commonpath([m["mountPath"], path]) == m["mountPath"] for m in mounts):
            yield f"state_dir: {path} is on no volume of the replica's own that outlives its pod, so that a new pod forgets what was revoked; use manifests/state"


def keys(w):
    """What lakegate signs with is in a Secret, of which a pod sees each change."""
    for path in w.config.get("trust", {}).get("assertion", {}).get("keys", []):
        at = posixpath.normpath(posixpath.join("/etc/lakegate/config", path))
        for d in w.pods("lakegate-system", {"app.kubernetes.io/name": "lakegate"}):
            pod = d["spec"]["template"]["spec"]
            secrets = {v["name"] for v in pod.get("volumes", []) if "secret" in v}
            mounts = [m for c in pod["containers"] if c["name"] == "lakegate" for m in c.get("volumeMounts", []) if m["name"] in secrets]
            if not any(posixpath.dirname(at) == m["mountPath"] for m in mounts):
                yield f"lakegate.yaml: the key {at} is in no Secret that is mounted; use manifests/keys"


PUBLISHED = {"/.well-known/openid-configuration", "/.well-known/jwks.json"}


def published(w):
    """Of the admin port two paths leave the cluster, and nothing else."""
    for v in (v for v in w.all("VirtualService") if w.inward(v)):
        name, spec, issuer = v["metadata"]["name"], v["spec"], w.config.get("trust", {}).get("assertion", {}).get("issuer", "")
        for r in spec.get("http", []):
            if {m.get("uri", {}).get("exact") if m.get("method") == {"exact": "GET"} else None for m in r.get("match", [])} != PUBLISHED:
                yield f"route `{name}`: it passes more to lakegate than GET of {sorted(PUBLISHED)}, or less"
            for to in (d["destination"] for d in r.get("route", [])):
                if not w.has_port(to["host"], to.get("port", {}).get("number")):
                    yield f"route `{name}`: nothing listens at {to['host']}:{to.get('port', {}).get('number')}"
        if [f"https://{h}" for h in spec["hosts"]] != [issuer]:
            yield f"route `{name}`: `trust.assertion.issuer` is `{issuer}`, not the host at which keys are published"


def doors(w):
    """What lakegate.yaml may say, and what opens a door when it is left behind."""
    if w.config.get("listen", {}).get("insecure"):
        yield "lakegate.yaml: `listen.insecure` lets whoever reaches the port ask what policies allow"
    if w.shadow:
        return
    mode = w.config.get("policy", {}).get("mode", "enforce")
    for kind in ("workspaces", "accounts"):
        for target in w.config.get(kind, []):
            if target.get("mode", mode) == "shadow":
                yield f"lakegate.yaml: `{target['name']}` is in shadow mode, so every call to it passes"
    for namespace in w.config.get("policy", {}).get("shadow", {}).get("namespaces", []):
        yield f"lakegate.yaml: the namespace `{namespace}` is in shadow mode, so every call from it passes"


def collector(w):
    """Traces leave only where the NetworkPolicy lets them; what it holds back is lost in silence."""
    port = re.search(r":(\d+)/?$", w.config.get("telemetry", {}).get("otlp", ""))
    pods = [d for p in w.providers() if (s := w.service(p.get("envoyExtAuthzGrpc", {}).get("service", ""))) for d in w.behind(s)]
    for n in w.all("NetworkPolicy") if port else []:
        chosen = n["spec"].get("podSelector", {}).get("matchLabels", {}).items()
        if "Egress" not in n["spec"].get("policyTypes", []) or not any(d["metadata"]["namespace"] == n["metadata"]["namespace"] and chosen <= labels(d).items() for d in pods):
            continue
        if not any("ports" not in e or int(port[1]) in [p.get("port") for p in e["ports"]] for e in n["spec"].get("egress", [])):
            yield f"network policy `{n['metadata']['name']}`: it has no way to port {port[1]} of `telemetry.otlp`, so traces are lost"
