"""The example as it is has no fault; with any one thing wrong it has, and the fault says which."""
import copy
import pathlib
import shutil
import subprocess

import pytest
import yaml

import lint
import render
import wiring

MANIFESTS = pathlib.Path(__file__).resolve().parent.parent
HOST = "dbc-1a2b3c4d-5e6f.cloud.databricks.com"
OBJECTS = render.render(MANIFESTS / "example")
(MESH,) = render.documents(MANIFESTS / "meshconfig.yaml")
(CONFIG,) = render.documents(MANIFESTS / "base/config/lakegate.yaml")


@pytest.fixture
def world():
    return wiring.Wiring(copy.deepcopy(OBJECTS), copy.deepcopy(MESH), copy.deepcopy(CONFIG))


def faults(w):
    return lint.malformed(w) + wiring.faults(w) + lint.unsafe(w.objects)


def one(w, kind, name=None):
    (found,) = [o for o in w.all(kind) if name in (None, o["metadata"]["name"])]
    return found


def spec(w, kind, name=None):
    return one(w, kind, name)["spec"]


def annotations(w):
    return spec(w, "Deployment", "egress")["template"]["metadata"]["annotations"]


def grpc(w):
    return w.providers()[0]["envoyExtAuthzGrpc"]


def pod(w, name="lakegate"):
    return spec(w, "Deployment", name)["template"]["spec"]


def lakegate(w):
    return pod(w)["containers"][0]


def entry_ports(w):
    return spec(w, "ServiceEntry")["ports"]


def http(w):
    return spec(w, "VirtualService")["http"]


def external_tls(w):
    return spec(w, "DestinationRule", "databricks")["trafficPolicy"]["portLevelSettings"][0]["tls"]


def drop(kind, name=None):
    return lambda w: w.objects.remove(one(w, kind, name))


def rename(mapping, old, new):
    mapping[new] = mapping.pop(old)


# What is done to the manifests, and what the fault must say.
WRONG = {
    # the first rows of what Istio accepts in silence, or denies with a message that helps nobody
    "provider missing": (lambda w: w.providers().clear(), "no provider of that name"),
    "provider misnamed": (lambda w: w.providers()[0].update(name="lake-gate"), "no provider of that name"),
    "provider in upper case": (lambda w: w.providers()[0].update(name="Lakegate"), "not a lower-case DNS label"),
    "provider's service unknown": (lambda w: grpc(w).update(service="lakegate.lakegate.svc.cluster.local"), "there is no service"),
    "statusOnError unknown": (lambda w: grpc(w).update(statusOnError="599"), "statusOnError"),
    "statusOnError a word": (lambda w: grpc(w).update(statusOnError="abc"), "statusOnError"),
    "statusOnError missing": (lambda w: grpc(w).pop("statusOnError"), "statusOnError"),
    "statusOnError a decision": (lambda w: grpc(w).update(statusOnError="403"), "look like a decision"),
    "statusOnError a number": (lambda w: grpc(w).update(statusOnError=503), "is not a str"),
    "provider's port wrong": (lambda w: grpc(w).update(port=9192), "no port 9192"),
    "MeshConfig misspelt": (lambda w: rename(grpc(w), "statusOnError", "statusOnErorr"), "unknown field `envoyExtAuthzGrpc.statusOnErorr`"),
    "MeshConfig misspelt below": (lambda w: rename(grpc(w)["includeRequestBodyInCheck"], "packAsBytes", "packAsByte"), "unknown field"),
    "selector matches nothing": (lambda w: spec(w, "AuthorizationPolicy")["selector"].update(matchLabels={"istio": "egressgateway"}), "matches no pod"),
    "policy in another namespace": (lambda w: one(w, "AuthorizationPolicy")["metadata"].update(namespace="lakegate-system"), "matches no pod"),
    "policy in the root namespace": (lambda w: one(w, "AuthorizationPolicy")["metadata"].update(namespace="istio-system"), "more than the gateway"),
    "selector missing": (lambda w: spec(w, "AuthorizationPolicy").pop("selector"), "more than the gateway"),
    "two providers": (lambda w: w.objects.append({**copy.deepcopy(one(w, "AuthorizationPolicy")), "spec": {**spec(w, "AuthorizationPolicy"), "provider": {"name": "other"}}}), "two providers"),
    "fails open": (lambda w: grpc(w).update(failOpen=True), "failOpen"),
    "no timeout": (lambda w: grpc(w).pop("timeout"), "hangs up to 600 s"),
    "timeout too long": (lambda w: grpc(w).update(timeout="60s"), "hangs up to 600 s"),
    "timeout without a unit": (lambda w: grpc(w).update(timeout="0.5"), "hangs up to 600 s"),
    # the rest of the way
    "no body": (lambda w: grpc(w).pop("includeRequestBodyInCheck"), "bodies must be sent"),
    "body cut too early": (lambda w: grpc(w)["includeRequestBodyInCheck"].update(maxRequestBytes=8192), "maxRequestBytes is below 65536"),
    "policy missing": (drop("AuthorizationPolicy"), "no CUSTOM policy guards"),
    "policy misspelt": (lambda w: rename(spec(w, "AuthorizationPolicy"), "selector", "selectr"), "unknown field `spec.selectr`"),
    "policy without rules": (lambda w: spec(w, "AuthorizationPolicy").pop("rules"), "only `rules: [{}]`"),
    "policy with paths": (lambda w: spec(w, "AuthorizationPolicy").update(rules=[{"to": [{"operation": {"paths": ["/api/*"]}}]}]), "only `rules: [{}]`"),
    "policy of an unknown action": (lambda w: spec(w, "AuthorizationPolicy").update(action="CUSTOMS"), "action"),
    "policy in dry run": (lambda w: one(w, "AuthorizationPolicy")["metadata"].update(annotations={"istio.io/dry-run": "true"}), "enforced deny"),
    "plain text allowed": (lambda w: spec(w, "PeerAuthentication")["mtls"].update(mode="PERMISSIVE"), "STRICT"),
    "peer authentication missing": (drop("PeerAuthentication"), "STRICT"),
    "gateway passes TLS through": (lambda w: spec(w, "Gateway")["servers"][0]["tls"].update(mode="PASSTHROUGH"), "ISTIO_MUTUAL"),
    "gateway selects nothing": (lambda w: spec(w, "Gateway").update(selector={"istio": "ingress"}), "selector matches no pod"),
    "gateway's service without the port": (lambda w: spec(w, "Service", "egress")["ports"][0].update(port=443), "no service leads to port 8443"),
    "router's headers leave": (lambda w: annotations(w).pop("proxy.istio.io/config"), "x-envoy-expected-rq-timeout-ms"),
    "router's headers left on": (lambda w: annotations(w).update({"proxy.istio.io/config": "proxyHeaders: { envoyDebugHeaders: { disabled: false } }"}), "x-envoy-expected-rq-timeout-ms"),
    "mesh route missing": (lambda w: http(w).pop(0), "go past the gateway"),
    "mesh route past the gateway": (lambda w: http(w)[0].update(route=http(w)[1]["route"]), "does not lead to the gateway"),
    "subset unknown": (lambda w: http(w)[0]["route"][0]["destination"].update(subset="databrick"), "has no subset"),
    "gateway reference unknown": (lambda w: http(w)[1]["match"][0].update(gateways=["istio-egress/databricks"]), "there is no gateway"),
    "destination unknown": (lambda w: http(w)[1]["route"][0]["destination"]["port"].update(number=8443), "nothing listens"),
    "route without a timeout": (lambda w: http(w)[1].pop("timeout"), "longest duration"),
    "route with retries": (lambda w: http(w)[0].pop("retries"), "repeat calls"),
    "TLS not originated": (lambda w: external_tls(w).update(mode="DISABLE"), "needs SIMPLE"),
    "server name not verified": (lambda w: external_tls(w).pop("subjectAltNames"), "needs SIMPLE"),
    "no TLS rule": (drop("DestinationRule", "databricks"), "originates TLS"),
    "gateway reached without mTLS": (lambda w: spec(w, "DestinationRule", "egress")["subsets"][0]["trafficPolicy"]["portLevelSettings"][0]["tls"].update(mode="SIMPLE"), "ISTIO_MUTUAL"),
    "anyone may answer as lakegate": (lambda w: spec(w, "DestinationRule", "lakegate")["trafficPolicy"]["tls"].pop("subjectAltNames"), "may answer as lakegate"),
    "lakegate's rule missing": (drop("DestinationRule", "lakegate"), "may answer as lakegate"),
    "service entry missing": (drop("ServiceEntry"), "missing in ServiceEntry"),
    "service entry with a wildcard": (lambda w: spec(w, "ServiceEntry").update(hosts=["*.cloud.databricks.com"]), "a wildcard"),
    "service entry without plain HTTP": (lambda w: entry_ports(w).pop(0), "80 HTTP"),
    "host forgotten in lakegate.yaml": (lambda w: w.config["workspaces"][0].update(hosts=["other.cloud.databricks.com"]), "missing in lakegate.yaml"),
    "host forgotten in the gateway": (lambda w: spec(w, "Gateway")["servers"][0].update(hosts=["other.cloud.databricks.com"]), f"`{HOST}`: missing in Gateway"),
    "another proxy may ask": (lambda w: w.config["listen"]["tls"].update(allow=["spiffe://cluster.local/ns/*"]), "listen.tls.allow"),
    "admin port on loopback": (lambda w: w.config["listen"].update(admin="127.0.0.1:9192"), "`listen.admin`"),
    "policies outside the volumes": (lambda w: w.config["policy"].update(dir="policies"), "none of the pod's volumes"),
    "check port insecure": (lambda w: w.config["listen"].update(insecure=True), "`listen.insecure`"),
    "shadow everywhere": (lambda w: w.config["policy"].update(mode="shadow"), "`dev` is in shadow mode"),
    "shadow for a workspace": (lambda w: w.config["workspaces"][0].update(mode="shadow"), "`dev` is in shadow mode"),
    "shadow for an account": (lambda w: w.config.update(accounts=[{"name": "main", "hosts": [HOST], "mode": "shadow"}]), "`main` is in shadow mode"),
    "shadow for a namespace": (lambda w: w.config["policy"].update(shadow={"namespaces": ["cluster.local/ml"]}), "`cluster.local/ml` is in shadow mode"),
    "no way to the collector": (lambda w: w.config.update(telemetry={"otlp": "http://otel-collector.monitoring:4317"}), "no way to port 4317"),
    "listen.tls missing": (lambda w: w.config["listen"].pop("tls"), "listen.tls.allow"),
    "route in TLS": (lambda w: spec(w, "VirtualService").update(tls=[{"match": [{"sniHosts": [HOST]}], "route": [{"destination": {"host": HOST}}]}]), "in TLS or TCP"),
    "route without a port": (lambda w: http(w)[1]["route"][0]["destination"].pop("port"), "nothing listens"),
    # the pods
    "unknown field in a pod": (lambda w: lakegate(w).update(imagePulPolicy="Always"), "imagePulPolicy"),
    "unknown kind": (lambda w: one(w, "PodDisruptionBudget", "lakegate").update(kind="PodDisruptionBudge"), "Kubernetes"),
    "may run as root": (lambda w: pod(w)["securityContext"].pop("runAsNonRoot"), "as root"),
    "writable root": (lambda w: lakegate(w)["securityContext"].update(readOnlyRootFilesystem=False), "write to its root"),
    "capabilities kept": (lambda w: lakegate(w)["securityContext"].pop("capabilities"), "gain privileges"),
    "token mounted": (lambda w: pod(w).update(automountServiceAccountToken=True), "never needs"),
    "agent's token in lakegate": (lambda w: lakegate(w)["volumeMounts"].append({"name": "istio-token", "mountPath": "/t"}), "itself has a token"),
    "no pause before the end": (lambda w: lakegate(w).pop("lifecycle"), "no time to"),
    "grace too short": (lambda w: pod(w).update(terminationGracePeriodSeconds=6), "no time to"),
    "subPath": (lambda w: lakegate(w)["volumeMounts"][0].update(subPath="lakegate.yaml"), "subPath"),
    "readiness by liveness": (lambda w: lakegate(w)["readinessProbe"]["httpGet"].update(path="/livez"), "probes"),
    "one replica": (lambda w: spec(w, "Deployment", "lakegate").update(replicas=1), "no replica"),
    "no disruption budget": (drop("PodDisruptionBudget", "lakegate"), "no PodDisruptionBudget"),
}


def test_the_example_has_no_fault(world):
    assert faults(world) == []


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_manifest_is_refused(world, what):
    change, says = WRONG[what]
    change(world)
    found = faults(world)
    assert any(says in f for f in found), f"expected `{says}` among {found}"


def test_shadow_mode_that_is_meant_or_overruled_has_no_fault(world):
    world.config["policy"]["mode"] = "shadow"
    world.config["workspaces"][0]["mode"] = "enforce"
    assert faults(world) == []
    world.config["workspaces"][0].pop("mode")
    world.config["policy"]["shadow"] = {"namespaces": ["cluster.local/ml"]}
    world.shadow = True
    assert faults(world) == []


def test_headers_that_the_whole_mesh_keeps_back_have_no_fault(world):
    annotations(world).pop("proxy.istio.io/config")
    world.mesh["meshConfig"]["defaultConfig"] = {"proxyHeaders": {"envoyDebugHeaders": {"disabled": True}}}
    assert faults(world) == []


def test_a_way_to_the_collector_has_no_fault(world):
    world.config["telemetry"] = {"otlp": "http://otel-collector.monitoring:4317"}
    spec(world, "NetworkPolicy")["egress"].append({"to": [{"namespaceSelector": {}}], "ports": [{"port": 4317, "protocol": "TCP"}]})
    assert faults(world) == []


@pytest.fixture
def kept():
    """The example with `manifests/state`."""
    objects = render.render(MANIFESTS / "state", copy.deepcopy(OBJECTS))
    return wiring.Wiring(objects, copy.deepcopy(MESH), {**copy.deepcopy(CONFIG), "state_dir": "../state"})


def test_a_state_that_outlives_its_pod_has_no_fault(kept):
    assert faults(kept) == []
    assert not [o for o in kept.all("Deployment") if o["metadata"]["name"] == "lakegate"]


@pytest.mark.parametrize("change", [
    lambda w: w.config.update(state_dir="../elsewhere"),
    lambda w: w.config.update(state_dir="/etc/lakegate/stately"),
    lambda w: spec(w, "StatefulSet").pop("volumeClaimTemplates"),
    lambda w: spec(w, "StatefulSet")["template"]["spec"]["containers"][0]["volumeMounts"][-1].update(readOnly=True),
])
def test_a_state_that_ends_with_its_pod_is_a_fault(kept, change):
    change(kept)
    assert any("forgets what was revoked" in f for f in faults(kept))


def test_a_deployment_keeps_no_state(world):
    world.config["state_dir"] = "../state"
    assert any("forgets what was revoked" in f for f in faults(world))


@pytest.fixture
def signing():
    """The example with `manifests/keys` and `manifests/published-keys`."""
    objects = render.render(MANIFESTS / "published-keys", render.render(MANIFESTS / "keys", copy.deepcopy(OBJECTS)))
    names = [f"../keys/{key}.pem" for key in ("current", "next", "previous")]
    trust = {"assertion": {"keys": names, "issuer": "https://lakegate.example.com"}}
    return wiring.Wiring(objects, copy.deepcopy(MESH), {**copy.deepcopy(CONFIG), "trust": trust})


def published(w):
    return spec(w, "VirtualService", "lakegate-keys")


def test_keys_from_a_secret_that_are_published_have_no_fault(signing):
    assert faults(signing) == []
    volumes = {v["name"]: v for v in pod(signing)["volumes"]}
    (mount,) = [m for m in lakegate(signing)["volumeMounts"] if m["name"] == "keys"]
    assert mount["readOnly"] and volumes["keys"]["secret"] == {"secretName": "lakegate-keys", "defaultMode": 0o440}


def test_keys_go_with_a_state(signing):
    signing.objects = render.render(MANIFESTS / "state", signing.objects)
    signing.config["state_dir"] = "../state"
    assert faults(signing) == []


@pytest.mark.parametrize("change, says", [
    (lambda w: w.config["trust"]["assertion"].update(keys=["../run/current.pem"]), "in no Secret that is mounted"),
    (lambda w: pod(w)["volumes"].pop(), "in no Secret that is mounted"),
    (lambda w: w.config["trust"]["assertion"].pop("issuer"), "not the host at which keys are published"),
    (lambda w: published(w).update(hosts=["keys.example.com"]), "not the host at which keys are published"),
    (lambda w: published(w)["http"][0].pop("match"), "passes more to lakegate"),
    (lambda w: published(w)["http"][0]["match"][0].update(uri={"prefix": "/"}), "passes more to lakegate"),
    (lambda w: published(w)["http"][0]["match"][0].pop("method"), "passes more to lakegate"),
    (lambda w: published(w)["http"][0]["match"].pop(), "passes more to lakegate"),
    (lambda w: published(w)["http"].append({"route": published(w)["http"][0]["route"]}), "passes more to lakegate"),
    (lambda w: published(w)["http"][0]["route"][0]["destination"]["port"].update(number=9192), "nothing listens at"),
])
def test_keys_that_are_nowhere_or_published_with_more_are_a_fault(signing, change, says):
    change(signing)
    found = faults(signing)
    assert any(says in f for f in found), found


def test_keys_without_a_secret_are_a_fault(world):
    world.config["trust"] = {"assertion": {"keys": ["../keys/current.pem"]}}
    assert any("use manifests/keys" in f for f in faults(world))


def test_the_base_stands_alone():
    objects = render.render(MANIFESTS / "base")
    assert lint.malformed(wiring.Wiring(objects, {}, {})) + lint.unsafe(objects) == []


def test_no_registry_host_stands_in_the_tree(world):
    assert [c["image"] for c in render.containers(world.objects)] == ["istio/proxyv2:1.31.0", "lakegate:0.1.0", "auto"]


def test_a_second_workspace_in_every_place_has_no_fault(world):
    second = "dbc-2b3c4d5e-6f70.cloud.databricks.com"
    for kind, name in [("ServiceEntry", "databricks"), ("VirtualService", "databricks"), ("DestinationRule", "databricks")]:
        world.objects.append(yaml.safe_load(yaml.safe_dump(one(world, kind, name)).replace(HOST, second)))
        world.objects[-1]["metadata"]["name"] = "second"
    spec(world, "VirtualService", "second")["http"][0]["route"][0]["destination"]["subset"] = "second"
    subsets = spec(world, "DestinationRule", "egress")["subsets"]
    subsets.append(yaml.safe_load(yaml.safe_dump(subsets[0]).replace(HOST, second)))
    subsets[-1]["name"] = "second"
    spec(world, "Gateway")["servers"][0]["hosts"].append(f"istio-egress/{second}")
    world.config["workspaces"].append({**world.config["workspaces"][0], "name": "second", "hosts": [second]})
    assert faults(world) == []


def test_every_policy_file_is_in_the_config_map(world):
    (policies,) = [o for o in world.all("ConfigMap") if o["metadata"]["name"] == "lakegate-policies"]
    assert set(policies["data"]) == {p.name for p in (MANIFESTS / "base/policies").iterdir()}


@pytest.mark.parametrize("text, says", [
    ("kind: Kustomization\napiVersion: kustomize.config.k8s.io/v1beta1\nnamePrefix: x-\n", "namePrefix"),
    ("kind: Kustomization\napiVersion: v1\n", "of v1"),
    ("kind: Kustomization\napiVersion: kustomize.config.k8s.io/v1beta1\nconfigMapGenerator: [{name: a, namespace: b, files: []}]\n", "hash"),
    ("kind: Kustomization\napiVersion: kustomize.config.k8s.io/v1beta1\nresources: [a.yaml, a.yaml]\n", "twice"),
    ("kind: Kustomization\napiVersion: kustomize.config.k8s.io/v1beta1\npatches: [{path: p.yaml, target: {kind: Job, name: a}}]\n", "0 objects"),
    ("kind: Kustomization\napiVersion: kustomize.config.k8s.io/v1beta1\nresources: [a.yaml]\npatches: [{path: p.yaml, target: {kind: Namespace, name: a}}]\n", "move"),
])
def test_the_renderer_refuses_what_it_does_not_know(tmp_path, text, says):
    (tmp_path / "a.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n")
    (tmp_path / "p.yaml").write_text("- { op: move, path: /metadata }\n")
    (tmp_path / "kustomization.yaml").write_text(text)
    with pytest.raises(render.Unsupported, match=says):
        render.render(tmp_path)


def test_a_key_that_stands_twice_is_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("spec: {}\nspec: {}\n")
    with pytest.raises(yaml.YAMLError, match="twice"):
        render.documents(tmp_path / "a.yaml")


@pytest.mark.skipif(not shutil.which("kubectl"), reason="no kubectl to compare with")
@pytest.mark.parametrize("folder", ["base", "example"])
def test_the_renderer_agrees_with_kustomize(folder):
    real = subprocess.run(["kubectl", "kustomize", str(MANIFESTS / folder)], capture_output=True, text=True, check=True).stdout
    key = lambda o: (o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"])
    assert sorted(yaml.safe_load_all(real), key=key) == sorted(render.render(MANIFESTS / folder), key=key)


def test_lint_reads_what_kubectl_prints(tmp_path, capsys):
    rendered, mesh = tmp_path / "rendered.yaml", tmp_path / "mesh.yaml"
    first, rest = OBJECTS[:3], OBJECTS[3:]
    rendered.write_text(yaml.safe_dump_all([{"apiVersion": "v1", "kind": "List", "items": first}, *rest]))
    mesh.write_text(yaml.safe_dump(MESH["meshConfig"]))  # as it stands in the ConfigMap `istio`
    assert lint.main(["--mesh", str(mesh), str(rendered)]) == 0
    assert capsys.readouterr().out == "no fault\n"


def test_lint_names_each_fault_and_fails(tmp_path, capsys):
    rendered = tmp_path / "rendered.yaml"
    rendered.write_text(yaml.safe_dump_all([o for o in OBJECTS if o["kind"] not in ("AuthorizationPolicy", "PeerAuthentication")]))
    assert lint.main(["--mesh", str(MANIFESTS / "meshconfig.yaml"), str(rendered)]) == 1
    out = capsys.readouterr().out
    assert "no CUSTOM policy guards" in out and "STRICT" in out and out.endswith("2 faults\n")


@pytest.mark.parametrize("kind", sorted({o["kind"] for o in OBJECTS}))
def test_lint_judges_without_an_object_of_any_kind(world, kind):
    """What is missing is a fault, or allowed; it never ends the judge."""
    world.objects = [o for o in world.objects if o["kind"] != kind]
    faults(world)
