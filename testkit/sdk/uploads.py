"""Uploads to the workspace with the official databricks-sdk, which it sends as multipart/form-data: of bytes and of an open file, and one to another's folder.

Usage: uploads.py --host http://127.0.0.1:PORT < token. Writes one JSON line for each call, as calls.py does.
"""

from calls import client_of, tell

from databricks.sdk.service.workspace import ImportFormat


def main():
    workspace = client_of(__doc__).workspace
    path = "/api/2.0/workspace/import"
    tell("bytes", "POST", path, lambda: workspace.upload("/Users/alice/a.py", b"print(1)\r\n--\r\n", overwrite=True))
    with open(__file__, "rb") as file:
        tell("a file", "POST", path, lambda: workspace.upload("/Workspace/Users/alice/b.txt", file, format=ImportFormat.AUTO))
    tell("elsewhere", "POST", path, lambda: workspace.upload("/Users/bob/a.py", b"print(1)"))


if __name__ == "__main__":
    main()
