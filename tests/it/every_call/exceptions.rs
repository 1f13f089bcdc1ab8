//! What is known to be otherwise than a method says, each with its reason. The test fails where one of them is no longer needed.

pub(super) const MISSING: &str = "RESOURCE_MISSING";

const OPTIONAL: &str = "the SDK marks optional what the call cannot do without: a request that names nothing is refused, one that names it is not";

/// Requests that enforcement refuses, by the method that made them; of those with `MISSING`, only the ones without what the method could have been given.
pub(super) const REFUSED: &[(&str, &str, &str)] = &[
    ("workspace.upload", "BODY_UNREADABLE", "it sends multipart/form-data, which lakegate does not read: the path stands in a part of it"),
    ("ai_search.create_index", MISSING, OPTIONAL),
    ("bundle_deployments.create_deployment", MISSING, OPTIONAL),
    ("clean_rooms.create_output_catalog", MISSING, OPTIONAL),
    ("command_execution.cancel", MISSING, OPTIONAL),
    ("command_execution.command_status", MISSING, OPTIONAL),
    ("command_execution.create", MISSING, OPTIONAL),
    ("command_execution.execute", MISSING, OPTIONAL),
    ("database.create_synced_database_table", MISSING, OPTIONAL),
    ("database.find_database_instance_by_uid", MISSING, OPTIONAL),
    ("database.generate_database_credential", MISSING, OPTIONAL),
    ("experiments.create_run", MISSING, OPTIONAL),
    ("experiments.get_history", MISSING, OPTIONAL),
    ("experiments.list_artifacts", MISSING, OPTIONAL),
    ("experiments.log_batch", MISSING, OPTIONAL),
    ("experiments.log_metric", MISSING, OPTIONAL),
    ("experiments.log_model", MISSING, OPTIONAL),
    ("experiments.log_param", MISSING, OPTIONAL),
    ("experiments.search_logged_models", MISSING, OPTIONAL),
    ("experiments.search_runs", MISSING, OPTIONAL),
    ("experiments.set_tag", MISSING, OPTIONAL),
    ("experiments.update_run", MISSING, OPTIONAL),
    ("external_lineage.create_external_lineage_relationship", MISSING, OPTIONAL),
    ("external_lineage.delete_external_lineage_relationship", MISSING, OPTIONAL),
    ("external_lineage.update_external_lineage_relationship", MISSING, OPTIONAL),
    ("feature_engineering.create_materialization_set", MISSING, OPTIONAL),
    ("policies.create_policy", MISSING, OPTIONAL),
    ("postgres.create_catalog", MISSING, OPTIONAL),
    ("postgres.create_snapshot", MISSING, OPTIONAL),
    ("postgres.create_synced_table", MISSING, OPTIONAL),
    ("provider_files.create", MISSING, OPTIONAL),
    ("provider_files.list", MISSING, OPTIONAL),
    ("query_visualizations.create", MISSING, OPTIONAL),
    ("registered_models.create", MISSING, OPTIONAL),
    ("rfa.batch_create_access_requests", MISSING, OPTIONAL),
    ("temporary_table_credentials.generate_temporary_table_credentials", MISSING, OPTIONAL),
    ("temporary_volume_credentials.generate_temporary_volume_credentials", MISSING, OPTIONAL),
];

/// Methods that send nothing here.
pub(super) const UNSENT: &[(&str, &str)] = &[
    ("consumer_listings.search", "the SDK puts its query into itself and ends in a recursion of its own"),
    ("dbfs.open", "needs to be told whether to read or to write, which no type hint says; `dbfs.upload` and `dbfs.download` open files"),
    ("files.upload_from", "reads a file first; `files.upload` sends the same"),
    ("sandbox.connect_command", "speaks gRPC, over TLS of its own; the catalog's cases send such a call"),
    ("sandbox.execute_command", "as above"),
    ("serving_endpoints.get_langchain_chat_open_ai_client", "makes a client of another package and sends nothing"),
    ("serving_endpoints.get_open_ai_client", "as above"),
];

/// Calls of `catalog/sdk.tsv` that no method brings to Envoy.
pub(super) const NEVER: &[(&str, &str)] = &[
    ("consumer_listings.search", "see `UNSENT`"),
    (
        "serving_endpoints_data_plane.query",
        "it goes to the data plane by a URL of the answer before, with a token of an exchange that a personal token has not",
    ),
    ("workspace.upload", "see `REFUSED`"),
];

/// Methods that are written by hand in the SDK, and the calls that they are made of.
pub(super) const DELEGATED: &[(&str, &[&str])] = &[
    ("dbfs.copy", &["dbfs.get_status", "dbfs.read", "dbfs.create", "dbfs.add_block", "dbfs.close", "dbfs.mkdirs", "dbfs.list"]),
    ("dbfs.delete", &["dbfs.get_status"]),
    ("dbfs.download", &["dbfs.get_status", "dbfs.read"]),
    ("dbfs.exists", &["dbfs.get_status"]),
    ("dbfs.list", &["dbfs.get_status"]),
    ("dbfs.upload", &["dbfs.create", "dbfs.add_block", "dbfs.close"]),
    ("files.download", &["files.create_download_url"]),
    ("files.download_to", &["files.create_download_url", "files.download"]),
];

/// Calls that act on their whole workspace or account though an argument looks like an id, by the reason why.
pub(super) const WHOLE: &[(&str, &[&str])] = &[
    (
        "it creates what stands directly in the workspace or account: the name is a new one, and what else it names is a field",
        &[
            "agent_bricks.create_custom_llm",
            "agent_kit.create_memory_store",
            "agent_kit.create_session_store",
            "ai_search.create_endpoint",
            "catalogs.create",
            "cluster_policies.create",
            "clusters.create",
            "connections.create",
            "credentials.create",
            "credentials.create_credential",
            "custom_app_integration.create",
            "environments.create_workspace_base_environment",
            "federation_policy.create",
            "global_init_scripts.create",
            "groups.create",
            "groups_v2.create",
            "iam_v2.create_identity_visibility_filter",
            "instance_pools.create",
            "jobs.create",
            "jobs.submit",
            "metastores.create",
            "model_registry.create_model",
            "notification_destinations.create",
            "pipelines.create",
            "postgres.create_project",
            "providers.create",
            "published_app_integration.create",
            "recipients.create",
            "sandbox.create_sandbox",
            "secrets.create_scope",
            "service_principals.create",
            "service_principals_v2.create",
            "serving_endpoints.create",
            "serving_endpoints.create_provisioned_throughput_endpoint",
            "shares.create",
            "storage.create",
            "storage_credentials.create",
            "users.create",
            "users_v2.create",
            "vector_search_endpoints.create_endpoint",
            "vpc_endpoints.create",
            "warehouses.create",
            "warehouses.create_default_warehouse_override",
            "workspace_iam_v2.create_group_proxy",
            "workspace_iam_v2.create_service_principal_proxy",
            "workspace_iam_v2.create_user_proxy",
        ],
    ),
    (
        "it lists, and the argument is a filter",
        &[
            "jobs.list",
            "log_delivery.list",
            "providers.list",
            "recipients.list",
            "token_management.list",
            "warehouses.list",
            "workspace_iam_v2.list_groups_proxy",
            "workspace_iam_v2.list_service_principals_proxy",
            "workspace_iam_v2.list_users_proxy",
            "workspace_iam_v2.list_workspace_assignments_proxy",
        ],
    ),
    (
        "it is a setting, or a state, of the whole",
        &[
            "artifact_allowlists.update",
            "environments.get_default_workspace_base_environment",
            "environments.get_operation",
            "environments.update_default_workspace_base_environment",
            "settings_v2.get_public_account_setting",
            "settings_v2.patch_public_account_setting",
            "workspace_settings_v2.get_public_workspace_setting",
            "workspace_settings_v2.patch_public_workspace_setting",
        ],
    ),
];
