"""What an ML engineer's job does with the official databricks-sdk: lists jobs, queries an endpoint, runs a statement of SQL.

Usage: work.py --host http://127.0.0.1:PORT < token. Writes one JSON line for each call, as calls.py does.
"""

from calls import client_of, tell


def main():
    client = client_of(__doc__)
    tell("jobs", "GET", "/api/2.2/jobs/list", lambda: list(client.jobs.list()))
    tell("query", "POST", "/serving-endpoints/sales/invocations", lambda: client.serving_endpoints.query(name="sales", inputs=[[1, 2, 3]]))
    tell(
        "sql",
        "POST",
        "/api/2.0/sql/statements",
        lambda: client.statement_execution.execute_statement(statement="SELECT 1", warehouse_id="0123456789abcdef"),
    )


if __name__ == "__main__":
    main()
