"""The alert rules can be read by Prometheus, and speak of metrics that lakegate has."""
import pathlib
import re

import promql_parser
import pytest

import render

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "manifests/monitoring"
(RULES,) = render.documents(FOLDER / "alerts.yaml")
(MONITOR,) = render.documents(FOLDER / "podmonitor.yaml")
ALERTS = [rule for group in RULES["spec"]["groups"] for rule in group["rules"]]
# An end-to-end test holds the names in this table against those that a running lakegate shows.
DOCUMENTED = re.findall(r"`(lakegate_\w+)(?:\{([\w,]+)\})?`", (ROOT / "docs/operations.md").read_text())
LABELS = {}
for name, labels in DOCUMENTED:
    LABELS.setdefault(name, set()).update(filter(None, labels.split(",")))
# The reasons of faults, by their status.
FAULTS = set(re.findall(r"^\| `(\w+)` \| 503, later 403 ", (ROOT / "docs/reasons.md").read_text(), flags=re.M))
REASONS = set(re.findall(r"^\| `(\w+)`", (ROOT / "docs/reasons.md").read_text(), flags=re.M))
# What the Prometheus Operator adds, and what histograms have.
ADDED = {"namespace", "pod", "le"}


def selectors(node):
    """Every vector selector of an expression."""
    if isinstance(node, promql_parser.VectorSelector):
        return [node]
    inner = [getattr(node, name, None) for name in ("expr", "lhs", "rhs", "vector_selector")] + list(getattr(node, "args", None) or [])
    return [found for child in inner if child is not None for found in selectors(child)]


def test_the_rules_are_found():
    assert len(ALERTS) >= 10 and len({rule["alert"] for rule in ALERTS}) == len(ALERTS)
    assert {"LakegateDegraded", "LakegateIsGone"} <= {rule["alert"] for rule in ALERTS}
    assert REASONS >= {"KEYS_UNAVAILABLE", "POLICY_ERROR"} and len(LABELS) > 10


def test_every_fault_alerts():
    (rule,) = [rule for rule in ALERTS if rule["alert"] == "LakegateRefusesByFault"]
    (selector,) = selectors(promql_parser.parse(rule["expr"]))
    (matcher,) = [matcher for matcher in selector.matchers.matchers if matcher.name == "reason"]
    assert len(FAULTS) > 5 and set(matcher.value.split("|")) == FAULTS


@pytest.mark.parametrize("rule", ALERTS, ids=[rule["alert"] for rule in ALERTS])
def test_a_rule_speaks_of_what_there_is(rule):
    found = selectors(promql_parser.parse(rule["expr"]))
    assert found
    for selector in found:
        name = re.sub("_bucket$", "", selector.name)
        assert name in LABELS or name == "lakegate_config_generation", name
        for matcher in selector.matchers.matchers:
            assert matcher.name in LABELS[name], f"{name} has no label {matcher.name}"
            if matcher.name == "reason":
                assert set(matcher.value.split("|")) <= REASONS
    by = set(filter(None, re.split(r"[,\s]+", " ".join(re.findall(r"by \(([^)]*)\)", rule["expr"])))))
    known = set().union(*(LABELS.get(re.sub("_bucket$", "", selector.name), set()) for selector in found)) | ADDED
    assert by <= known
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    assert set(rule["annotations"]) == {"summary", "description"}
    assert set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))) <= by


def test_the_monitor_finds_the_pods():
    (deployment,) = [o for o in render.render(ROOT / "manifests/example") if o["kind"] == "Deployment" and o["metadata"]["name"] == "lakegate"]
    pod = deployment["spec"]["template"]
    assert MONITOR["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert MONITOR["metadata"]["namespace"] == deployment["metadata"]["namespace"] == RULES["metadata"]["namespace"]
    ports = {port["name"] for container in pod["spec"]["containers"] for port in container["ports"]}
    assert {endpoint["port"] for endpoint in MONITOR["spec"]["podMetricsEndpoints"]} <= ports


def test_the_component_has_all_of_its_files():
    listed = render.documents(FOLDER / "kustomization.yaml")[0]["resources"]
    assert sorted(listed) == sorted(file.name for file in FOLDER.iterdir() if file.name != "kustomization.yaml")
