"""Every method of MLflow's REST stores, called against a workspace (tracking and tracing, its registry, and the registry in
Unity Catalog) and against a server of one's own (tracking and registry).

Usage: every_mlflow_call.py --workspace http://127.0.0.1:PORT --mlflow http://127.0.0.1:PORT < token. Writes the lines that every_call.py writes; `made_by` is `store.method`.
"""

import argparse
import inspect
import logging
import os
import sys
import tempfile
import time

import every_call
from every_call import Watch

os.environ.update(MLFLOW_HTTP_REQUEST_MAX_RETRIES="0", MLFLOW_HTTP_REQUEST_TIMEOUT="15", MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_USE_DATABRICKS_SDK_MODEL_ARTIFACTS_REPO_FOR_UC="false")

import mlflow.entities as entities  # noqa: E402
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag  # noqa: E402
from mlflow.entities.model_registry.prompt_version import PromptVersion  # noqa: E402
from mlflow.entities.trace_location import UCSchemaLocation  # noqa: E402
from mlflow.entities.trace_status import TraceStatus  # noqa: E402
from mlflow.store._unity_catalog.registry import rest_store as unity_store  # noqa: E402
from mlflow.store.model_registry.databricks_workspace_model_registry_rest_store import DatabricksWorkspaceModelRegistryRestStore  # noqa: E402
from mlflow.store.tracking.databricks_rest_store import DatabricksTracingRestStore  # noqa: E402
from mlflow.store.model_registry.rest_store import RestStore as RegistryStore  # noqa: E402
from mlflow.store.tracking.rest_store import RestStore  # noqa: E402
from mlflow.utils.rest_utils import MlflowHostCreds  # noqa: E402
from sample import SCHEMA, TABLE, number  # noqa: E402

TRACE = "tr-0123456789abcdef0123456789abcdef"


def trace_info():
    location = entities.TraceLocation.from_experiment_id("4711")
    return entities.TraceInfo(trace_id=TRACE, trace_location=location, request_time=1, state=entities.TraceState.OK)


def schema():
    return UCSchemaLocation(catalog_name="main", schema_name="ml")


def assessment():
    source = entities.AssessmentSource(source_type="HUMAN", source_id="alice@example.com")
    return entities.Feedback(name="good", value=True, trace_id=TRACE, source=source)


def span():
    from mlflow.entities.span import LiveSpan
    from opentelemetry.sdk.trace import TracerProvider

    with TracerProvider().get_tracer("sample").start_as_current_span("work") as made:
        live = LiveSpan(made, TRACE)
    return live.to_immutable_span() if hasattr(live, "to_immutable_span") else live


# What an argument is, by `store.method.name`, `store.name` or `name`: made when it is needed, for few methods need most.
VALUES = {
    "experiment_id": lambda: "4711",
    "experiment_ids": lambda: ["4711"],
    "experiment_name": lambda: "/Users/alice@example.com/experiment",
    "run_id": lambda: "0123456789abcdef0123456789abcdef",
    "source_run_id": lambda: "0123456789abcdef0123456789abcdef",
    "model_id": lambda: "m-0123456789abcdef0123456789abcdef",
    "trace_id": lambda: TRACE,
    "trace_ids": lambda: [TRACE],
    "request_id": lambda: TRACE,
    "location": lambda: "4711",
    "trace_info": trace_info,
    "assessment": assessment,
    "spans": lambda: [span()],
    "tracking.create_experiment.name": lambda: "/Users/alice@example.com/experiment",
    "new_name": lambda: "/Users/alice@example.com/other",
    "registry.rename_registered_model.new_name": lambda: "other",
    "unity.rename_registered_model.new_name": lambda: "main.ml.other",
    "unity.name": lambda: TABLE,
    "unity.source": lambda: "dbfs:/Volumes/main/ml/files/model",
    "source": lambda: "dbfs:/databricks/mlflow-tracking/4711/model",
    "version": lambda: "3",
    "tracking.version": lambda: 3,
    "set_mcp_server_alias.version": lambda: "3",
    "stage": lambda: "Staging",
    "archive_existing_versions": lambda: False,
    "run_status": lambda: entities.RunStatus.FINISHED,
    "end_time": lambda: 1,
    "start_time": lambda: 1,
    "timestamp_ms": lambda: 1,
    "sample_rate": lambda: 0.5,
    "status": lambda: TraceStatus.OK,
    "tracking.set_review_queue_item_status.status": lambda: "complete",
    "queue_type": lambda: "custom",
    "view_type": lambda: entities.ViewType.ACTIVE_ONLY,
    "run_view_type": lambda: entities.ViewType.ACTIVE_ONLY,
    "max_results": lambda: 10,
    "tracking.search_traces.locations": lambda: ["4711"],
    "tracking.link_trace_location.location": schema,
    "tracking.create_or_get_trace_location.location": schema,
    "tracking.set_experiment_trace_location.location": schema,
    "tracking.unset_experiment_trace_location.location": schema,
    "tracking.unlink_traces_from_run.trace_ids": lambda: ["trace:/main.ml/" + TRACE.removeprefix("tr-")],
    "tracking.log_spans.tracking_uri": lambda: "databricks",
    "tracking.log_spans.location": lambda: "main.ml.spans",
    "tracking.delete_traces.trace_ids": lambda: [TRACE],
    "tracking.batch_get_traces.location": lambda: SCHEMA,
    "source_inference_table": lambda: TABLE,
    "dst_name": lambda: TABLE,
    "unity.copy_model_version.dst_name": lambda: TABLE,
    "tracking.finalize_logged_model.status": lambda: entities.LoggedModelStatus.READY,
    "metric": lambda: entities.Metric("loss", 0.5, 1, 0),
    "metrics": lambda: [entities.Metric("loss", 0.5, 1, 0)],
    "param": lambda: entities.Param("rate", "1"),
    "tracking.log_batch.params": lambda: [entities.Param("rate", "1")],
    "tracking.log_logged_model_params.params": lambda: [entities.LoggedModelParameter("rate", "1")],
    "tracking.log_outputs.models": lambda: [entities.LoggedModelOutput("m-0123456789abcdef0123456789abcdef", 0)],
    "tracking.set_tag.tag": lambda: entities.RunTag("team", "ml"),
    "tracking.set_experiment_tag.tag": lambda: entities.ExperimentTag("team", "ml"),
    "set_registered_model_tag.tag": lambda: RegisteredModelTag("team", "ml"),
    "set_model_version_tag.tag": lambda: ModelVersionTag("team", "ml"),
    "tracking.create_run.tags": lambda: [entities.RunTag("team", "ml")],
    "tracking.log_batch.tags": lambda: [entities.RunTag("team", "ml")],
    "tracking.set_logged_model_tags.tags": lambda: [entities.LoggedModelTag("team", "ml")],
    "tags": lambda: {"team": "ml"},
    "request_metadata": lambda: {"key": "value"},
    "records": lambda: [{"inputs": {"question": "why"}}],
    "dataset_record_ids": lambda: ["4713"],
    "prompt_versions": lambda: [PromptVersion(name=TABLE, version=3, template="hello")],
    "item_ids": lambda: [TRACE],
    "scorer_ids": lambda: ["4714"],
    "template": lambda: "hello {{name}}",
    "url": lambda: "https://example.com/hook",
    "description": lambda: "words",
    "unity.search_prompts.filter_string": lambda: "catalog = 'main' AND schema = 'ml'",
}


def arguments(store, method, function):
    """What the method requires, and what it cannot do without though it does not say so."""
    taken = {}
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        kind = {"server": "tracking", "models": "registry"}.get(store, store)
        keys = [f"{kind}.{method}.{parameter.name}", f"{method}.{parameter.name}", f"{kind}.{parameter.name}", parameter.name]
        required = parameter.default is parameter.empty
        if required or keys[0] in VALUES:
            made = next((VALUES[key] for key in keys if key in VALUES), None)
            taken[parameter.name] = made() if made else str(number(parameter.name)) if parameter.name.endswith("id") else parameter.name.replace("_", "-")
    return taken


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workspace", required=True)
    parser.add_argument("--account", help="not called")
    parser.add_argument("--mlflow", required=True)
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    token = sys.stdin.read().strip()
    creds = MlflowHostCreds(args.workspace, token=token)
    watch = Watch()
    time.sleep = every_call.sleepless
    unity_store.get_databricks_host_creds = lambda uri=None: creds
    stores = {
        "tracking": DatabricksTracingRestStore(lambda: creds),
        "registry": DatabricksWorkspaceModelRegistryRestStore("databricks", "databricks"),
        "unity": unity_store.UcModelRegistryStore("databricks-uc", "databricks"),
    }
    stores["registry"].get_host_creds = stores["unity"].get_host_creds = stores["unity"].get_tracking_host_creds = lambda: creds
    own = MlflowHostCreds(args.mlflow, token=token)
    stores |= {"server": RestStore(lambda: own), "models": RegistryStore(lambda: own)}
    watch.services.update({id(store): name for name, store in stores.items()})
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, store in stores.items():
            for method, function in inspect.getmembers(type(store), inspect.isfunction):
                # what is logged asynchronously is sent by another thread, at another time: what the plain methods send
                if not method.startswith("_") and "async" not in method:
                    watch.run("service" if name in ("server", "models") else "workspace", f"{name}.{method}", False, lambda: getattr(store, method)(**arguments(name, method, function)))


if __name__ == "__main__":
    main()
