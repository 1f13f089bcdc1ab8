"""Arguments for any method of the SDK, made from its type hints and its documentation: the same name gets the same value everywhere."""

import ast
import dataclasses
import datetime
import enum
import functools
import inspect
import io
import re
import sys
import typing
import zlib

from databricks.sdk.common.types.fieldmask import FieldMask
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

ACCOUNT = "6f2e9c1a-0000-4000-8000-000000000001"
WORKSPACE = "1111111111111111"

# Other names of an id.
SAME = {"run_uuid": "run_id", "budget_configuration_id": "budget_id"}


def number(name):
    """A number of its own for each name: an id, decimal as most are, and told apart from every other in a record."""
    name = SAME.get(name, name)
    return 1_000_000 + zlib.crc32(name.removesuffix("s").encode()) % 8_999_999


# How deep dataclasses are filled below an argument.
DEPTH = 3
DEEPER = {"rfa.batch_create_access_requests": 5}

# The member of an enumeration where its first makes no sense.
ENUMS = {"SecurableType": "TABLE"}

# Names of Unity Catalog, by how many parts they have.
CATALOG, SCHEMA, TABLE = "main", "main.ml", "main.ml.churn"
GATEWAY = f"accounts/{ACCOUNT}/network-connectivity-configs/4711/private-network-gateways/4712"
PROJECT = "projects/project-1"

# What a text is where neither its documentation nor its name says it: by `service.method.name`, `service.name`, `Dataclass.name` or `name`, the
# nearest first.
TEXTS = {
    "account_id": ACCOUNT,
    "workspace_id": WORKSPACE,
    "catalog_name": CATALOG,
    "catalog": CATALOG,
    "schema_name": "ml",
    "path": "/Users/alice@example.com/churn",
    "parent_path": "/Users/alice@example.com",
    "file_path": "/Volumes/main/ml/files/churn.csv",
    "directory_path": "/Volumes/main/ml/files",
    # the many names of a name in Unity Catalog
    "full_name": TABLE,
    "full_name_arg": TABLE,
    "schemas.full_name": SCHEMA,
    "on_securable_fullname": TABLE,
    "parent_full_name": SCHEMA,
    "feature_name": TABLE,
    "materialized_features.feature_name": "amount",
    "feature_full_names": TABLE,
    "features": TABLE,
    "index_name": TABLE,
    "index_id": TABLE,
    "table_path": TABLE,
    "train_data_path": TABLE,
    "future_feature_data_path": TABLE,
    "prediction_data_path": TABLE,
    "synced_table_id": TABLE,
    "agent_artifact_path": SCHEMA,
    "TableNames.traces_table": TABLE,
    "TableNames.logs_table": TABLE,
    "TableNames.metrics_table": TABLE,
    "local_name": TABLE,
    "database.create_database_catalog.name": CATALOG,
    "DatabaseTable.name": TABLE,
    "SyncedDatabaseTable.name": TABLE,
    "OnlineTable.name": TABLE,
    "FeatureSpec.name": TABLE,
    "Stream.name": TABLE,
    "UcFunction.name": TABLE,
    "Volume.name": TABLE,
    "ExternalLineageModelVersion.name": TABLE,
    "FilesSpec.path": "/Volumes/main/ml/files",
    "ai_search.index_id": TABLE,
    "view_name": TABLE,
    "output_schema_name": SCHEMA,
    "full_feature_name": TABLE,
    "register_to": TABLE,
    "function_name": TABLE,
    "function_path": TABLE,
    "ExistingTable.name": "churn",
    "ExistingTable.catalog": CATALOG,
    "ExistingTable.schema": "ml",
    "policies.on_securable_type": "TABLE",
    "input_tables": TABLE,
    "ExternalLineageTable.name": TABLE,
    "SharedDataObject.name": TABLE,
    "feature_engineering.list_streams.parent": SCHEMA,
    "vector_search_indexes.create_index.name": TABLE,
    # the kinds of a kind
    "securable_type": "table",
    "on_securable_type": "table",
    "parent_securable_type": "schema",
    "request_object_type": "jobs",
    "workspace_object_type": "notebooks",
    "entity_type": "tables",
    "entity_name": TABLE,
    "workspace_entity_tag_assignments.entity_type": "notebooks",
    "workspace_bindings.securable_type": "catalog",
    "object_type": "schema",
    "activation_url": "activation-token-1",
    # paths
    "initial_parent_path": "/Users/alice@example.com",
    "assets_dir": "/Users/alice@example.com/assets",
    "keystore_location": "/Volumes/main/ml/files/keystore.jks",
    "truststore_location": "/Volumes/main/ml/files/truststore.jks",
    "root_path": "/Users/alice@example.com/bundle",
    "repo_path": "/Repos/alice/churn",
    "source_code_path": "/Users/alice@example.com/app",
    "notebook": "/Users/alice@example.com/notebook",
    "filepath": "/Volumes/main/ml/files/environment.yml",
    "experiment_name": "/Users/alice@example.com/experiment",
    "experiments.create_experiment.name": "/Users/alice@example.com/experiment",
    "ai_functions.content": "/Volumes/main/ml/files/letter.pdf",
    "output_ref": "/Volumes/main/ml/files/out",
    "image_output_path": "/Volumes/main/ml/files/images",
    "input_ref": "/Volumes/main/ml/files/batch.jsonl",
    "source_path": "churn.csv",
    "destination_path": "churn.out",
    "dbfs.source_path": "/tmp/churn",
    "dbfs.destination_path": "/tmp/other",
    "src": "dbfs:/tmp/churn",
    "dst": "dbfs:/tmp/other",
    "custom_content_pack_path": "/Volumes/main/ml/files/content",
    "custom_presets_path": "/Volumes/main/ml/files/presets",
    "queries_legacy.create.parent": "folders/4711",
    "alerts_legacy.create.parent": "folders/4711",
    # resource names whose documentation does not say how they are made
    "endpoints.name": f"accounts/{ACCOUNT}/endpoints/4711",
    "environments.get_operation.name": "operations/4711",
    "environments.get_default_workspace_base_environment.name": "default-workspace-base-environment",
    "environments.update_default_workspace_base_environment.name": "default-workspace-base-environment",
    "environments.update_workspace_base_environment.name": "workspace-base-environments/churn",
    "experiments.create_issue.parent": "experiments/4711",
    "feature_engineering.get_operation.name": "operations/4711",
    "feature_engineering.cancel_operation.name": "operations/4711",
    "ai_search.update_endpoint.name": f"workspaces/{WORKSPACE}/endpoints/churn",
    "postgres.get_operation.name": f"{PROJECT}/operations/4711",
    "lakewatch.delete_datasource.name": "datasources/4711",
    "lakewatch.get_datasource.name": "datasources/4711",
    "lakewatch.get_alert_config.name": "catalogs/main/alertConfig",
    "lakewatch.update_alert_config.name": "catalogs/main/alertConfig",
    "lakewatch.get_common_config.name": "catalogs/main/commonConfig",
    "lakewatch.update_common_config.name": "catalogs/main/commonConfig",
    "lakewatch.get_datasource_config.name": "catalogs/main/datasourceConfig",
    "lakewatch.update_datasource_config.name": "catalogs/main/datasourceConfig",
    "lakewatch.get_rule_config.name": "catalogs/main/ruleConfig",
    "lakewatch.update_rule_config.name": "catalogs/main/ruleConfig",
    "lakewatch.update_datasource.name": f"datasources/{number('datasource_id')}",
    "private_network_gateways.parent": f"accounts/{ACCOUNT}/network-connectivity-configs/4711",
    "private_network_gateways.get_private_network_gateway_operation.name": f"{GATEWAY}/operations/4713",
    "private_network_gateways.name": GATEWAY,
    "sandbox.name": "sandboxes/box",
    "sandbox.parent": "sandboxes/box",
    # the same object under its other name
    "app_name": "name-1",
    "pipelines.update.id": str(number("pipeline_id")),
}

# `service.method.name` of single names in Unity Catalog, of three parts though nothing says so.
for service, names in {
    "database": "get_database_table delete_database_table get_synced_database_table delete_synced_database_table update_synced_database_table",
    "feature_engineering": "delete_feature_spec get_feature_spec delete_stream get_stream update_stream",
    "functions": "delete get update",
    "online_tables": "delete get wait_get_online_table_active",
    "volumes": "delete read update",
}.items():
    TEXTS |= {f"{service}.{name}.name": TABLE for name in names.split()}

# Fields that exclude another: with both, nobody could say what is asked.
LEFT_OUT = {
    "JobRunAs.group_name",
    "JobRunAs.service_principal_name",
    "RunAs.group_name",
    "RunAs.service_principal_name",
    "AlertV2RunAs.service_principal_name",
    "Setting.automatic_cluster_update_workspace",
    "DeltaTableSource.full_name",
}

# A resource name as the documentation writes it: `projects/{project_id}/branches/{branch_id}`.
FORMAT = re.compile(r"(?<![\w/])[a-z][A-Za-z_-]*/\{[A-Za-z_-]+\}(?:\.\{[A-Za-z_-]+\})*(?:/(?:\{[A-Za-z_-]+\}|[A-Za-z][A-Za-z_-]*))*")
# The SDK marks optional what the server sets in an answer, and says in words that a request must have it.
REQUIRED = re.compile(r"\bRequired\b(?! (?:when|if|for|unless|on)\b)")


class Sampler:
    """Fills the parameters of one method."""

    def __init__(self, action, function, full):
        self.action = action
        self.full = full
        self.depth = DEEPER.get(action, DEPTH)
        self.within = []
        self.function = function
        self.documented = documented(inspect.getdoc(function) or "")

    def arguments(self):
        hints = typing.get_type_hints(self.function)
        taken = {}
        for parameter in list(inspect.signature(self.function).parameters.values())[1:]:
            if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL) or parameter.name == "callback":
                continue
            hint = hints.get(parameter.name, type(parameter.default) if isinstance(parameter.default, (bool, int)) else str)
            if parameter.name == "timeout" and isinstance(parameter.default, datetime.timedelta):
                taken[parameter.name] = datetime.timedelta(minutes=1)
            elif parameter.default is parameter.empty or (self.full and parameter.name not in PAGING) or REQUIRED.search(self.documented.get(parameter.name, "")):
                taken[parameter.name] = self.value(parameter.name, hint, self.depth, self.documented.get(parameter.name, ""))
        return taken

    def value(self, name, hint, depth, doc=""):
        hint = unwrapped(hint)
        origin, of = typing.get_origin(hint), typing.get_args(hint)
        if hint is bool:
            return True
        if hint is int:
            return int(WORKSPACE) if name == "workspace_id" else number(name)
        if hint is float:
            return 1.5
        if hint is str or hint is typing.Any:
            return self.text(name, doc)
        if origin in (list, typing.List):
            item = self.value(name, of[0], depth - 1, doc)
            return [] if item is None else [item]
        if origin in (dict, typing.Dict):
            return {"key-1": self.value("value", of[1], depth - 1)}
        if hint in SIMPLE:
            return SIMPLE[hint]()
        if isinstance(hint, type) and issubclass(hint, enum.Enum):
            return ENUMS.get(hint.__name__) and hint[ENUMS[hint.__name__]] or next(iter(hint))
        if dataclasses.is_dataclass(hint):
            return self.filled(hint, depth)
        return {}

    def filled(self, kind, depth):
        """A dataclass with its fields filled, the optional ones where all is to be filled; None where it is too deep or within itself."""
        if depth <= 0 or kind in self.within:
            return None
        self.within.append(kind)
        hints, docs = hints_of(kind), docs_in(kind.__module__).get(kind.__name__, {})
        fields = {}
        for field in dataclasses.fields(kind):
            required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            if not required and f"{kind.__name__}.{field.name}" in LEFT_OUT:
                continue
            if required or (self.full and field.name not in PAGING) or REQUIRED.search(docs.get(field.name, "")):
                fields[field.name] = self.value(field.name, hints[field.name], depth - 1, docs.get(field.name, ""))
            elif field.name == "name" and depth == self.depth:
                # the SDK marks it optional where the server sets it, and takes it for the path where it does not
                fields[field.name] = self.value(field.name, hints[field.name], depth - 1, docs.get(field.name, ""))
        self.within.pop()
        return kind(**fields)

    def text(self, name, doc):
        service = self.action.rsplit(".", 1)[0]
        kind = self.within[-1].__name__ if self.within else ""
        outer = [f"{self.action}.{name}", f"{service}.{name}"] if len(self.within) < 2 else []
        for key in (f"{kind}.{name}", *outer):
            if key in TEXTS:
                return TEXTS[key]
        if found := FORMAT.findall(doc):
            # where the account's and the workspace's are both documented, the account's comes first
            workspaces = [one for one in found if not one.startswith("accounts/")]
            return filled_format(workspaces[0] if workspaces and service.startswith("workspace_") else found[0])
        if name in TEXTS:
            return TEXTS[name]
        if re.search(r"table_name$|_table$|full_?name$|_uc_secret$", name):
            return TABLE
        if name.endswith("_path"):
            return f"/Users/alice@example.com/{name}"
        if name == "id" or name.endswith(("_id", "_ids", "_uuid")):
            return str(number(name))
        if name.endswith("_uri") or name.endswith("url"):
            return f"https://example.com/{name}"
        return name.replace("_", "-") + "-1"


PAGING = {"page_token", "callback"}
SIMPLE = {
    bytes: lambda: b"content",
    typing.BinaryIO: lambda: io.BytesIO(b"content"),
    typing.Union[bytes, typing.BinaryIO]: lambda: b"content",
    datetime.datetime: lambda: datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc),
    datetime.timedelta: lambda: datetime.timedelta(minutes=1),
    FieldMask: lambda: FieldMask(["display_name"]),
    Duration: lambda: Duration(seconds=60),
    Timestamp: lambda: Timestamp(seconds=1767312000),
}


def unwrapped(hint):
    """`T` of `Optional[T]`."""
    of = [one for one in typing.get_args(hint) if one is not type(None)]
    return of[0] if typing.get_origin(hint) is typing.Union and len(of) == 1 else hint


def filled_format(text):
    return re.sub(r"\{([A-Za-z_-]+)\}", lambda hole: component(hole[1].replace("-", "_")), text)


def component(hole):
    named = {"account_id": ACCOUNT, "account": ACCOUNT, "experiment": "4711", "index": TABLE, "index_id": TABLE, "catalog": "main", "catalog_name": "main", "schema": "ml", "schema_name": "ml", "workspace_id": WORKSPACE}
    return named.get(hole) or (str(number(hole)) if hole.endswith("id") else hole.replace("_", "-") + "-1")


def documented(text):
    """The documentation of each parameter: `:param name: type`, and what is indented below it."""
    found = re.split(r"^\s*:param (\w+):", text, flags=re.M)
    return {name: re.split(r"^\s*:returns?:", about, flags=re.M)[0] for name, about in zip(found[1::2], found[2::2])}


@functools.cache
def hints_of(kind):
    return typing.get_type_hints(kind)


@functools.cache
def docs_in(module):
    """The texts that stand below the fields of each dataclass of a module."""
    found = {}
    for node in ast.parse(inspect.getsource(sys.modules[module])).body:
        if isinstance(node, ast.ClassDef):
            fields = found[node.name] = {}
            for field, text in zip(node.body, node.body[1:]):
                if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                    fields[field.target.id] = str(text.value.value)
    return found
