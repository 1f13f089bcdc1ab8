"""Two calls with the official databricks-sdk, as an application makes them: plain HTTP to its sidecar, its own token, no knowledge of lakegate.

Usage: calls.py --host http://127.0.0.1:PORT < token. Writes one JSON line for each call: what it was, how long it took, and the exception if one was raised.
"""

import argparse
import dataclasses
import json
import logging
import os
import sys
import time

# nothing of the user's own Databricks set-up may leak in, and no proxy stands before loopback
for name in [name for name in os.environ if name.startswith(("DATABRICKS_", "ARM_", "GOOGLE_"))]:
    del os.environ[name]
os.environ.update(DATABRICKS_CONFIG_FILE=os.devnull, NO_PROXY="127.0.0.1", no_proxy="127.0.0.1")

from databricks.sdk import WorkspaceClient  # noqa: E402
from databricks.sdk.core import Config  # noqa: E402


def raised(error):
    details = error.get_error_details() if hasattr(error, "get_error_details") else None
    info = details.error_info if details else None
    return {
        "kind": type(error).__name__,
        "message": str(error),
        "reason": info.reason if info else None,
        "domain": info.domain if info else None,
        "details": json.dumps(dataclasses.asdict(details), default=str) if details else "",
    }


def tell(call, method, path, make):
    started, error = time.perf_counter(), None
    try:
        make()
    except Exception as e:  # whatever the SDK makes of an answer is what is to be told
        error = raised(e)
    line = {"call": call, "method": method, "path": path, "milliseconds": (time.perf_counter() - started) * 1000, "error": error}
    print(json.dumps(line), flush=True)


def client_of(about):
    """A client of the host in the arguments, with the token of standard input; `about` is the script's own word on itself."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--host", required=True)
    host = parser.parse_args().host
    logging.disable(logging.WARNING)
    # `pat` is the SDK's word for a bearer token that is sent as it is; a 503 would be retried for five minutes
    return WorkspaceClient(config=Config(host=host, token=sys.stdin.read().strip(), auth_type="pat", retry_timeout_seconds=15))


def main():
    client = client_of(__doc__)
    tell("databricks-sdk: a job", "POST", "/api/2.2/jobs/run-now", lambda: client.jobs.run_now(job_id=42))
    tell(
        "databricks-sdk: a closed endpoint",
        "POST",
        "/serving-endpoints/closed/invocations",
        lambda: client.serving_endpoints.query(name="closed", inputs=[[1, 2, 3]]),
    )


if __name__ == "__main__":
    main()
