"""Every method that the official databricks-sdk has, called once with only what it requires and once with everything: plain HTTP to its sidecar.

Usage: every_call.py --workspace http://127.0.0.1:PORT --account http://127.0.0.1:PORT < token. Writes one JSON line for each request that it sent
(`tag` stands in its User-Agent; `made_by` is the method of the SDK that made it, for one method may call others), and one for each method called.
"""

import argparse
import inspect
import json
import logging
import os
import sys
import tempfile
import time
import urllib.parse

# nothing of the user's own Databricks set-up may leak in, and no proxy stands before loopback
for name in [name for name in os.environ if name.startswith(("DATABRICKS_", "ARM_", "GOOGLE_", "MLFLOW_"))]:
    del os.environ[name]
os.environ.update(DATABRICKS_CONFIG_FILE=os.devnull, NO_PROXY="127.0.0.1", no_proxy="127.0.0.1")

import requests  # noqa: E402
from databricks.sdk import AccountClient, WorkspaceClient  # noqa: E402
from databricks.sdk.core import Config  # noqa: E402

from sample import ACCOUNT, WORKSPACE, Sampler  # noqa: E402

# More requests than any method makes that does not poll.
ENOUGH = 6


class Stop(BaseException):
    """Ends a method that would go on asking; no `except Exception` of a client swallows it."""


class Watch:
    """Sees every request that leaves, gives it its tag, and tells of it."""

    def __init__(self):
        self.call, self.number, self.sent, self.client, self.full = None, 0, 0, None, False
        self.services = {}
        self.send = requests.Session.send
        watch = self
        requests.Session.send = lambda session, request, **options: watch.pass_on(session, request, options)

    def pass_on(self, session, request, options):
        if self.call is None:
            return self.send(session, request, **options)
        if self.sent >= ENOUGH:
            raise Stop
        url = urllib.parse.urlsplit(request.url)
        tag = f"every-call/{self.number}.{self.sent}"
        self.sent += 1
        made_by, arguments = self.maker()
        line = {
            "tag": tag,
            "client": self.client,
            "call": self.call,
            "full": self.full,
            "made_by": made_by,
            "method": request.method,
            "path": url.path,
            "arguments": arguments,
        }
        print(json.dumps(line), flush=True)
        request.headers["User-Agent"] = tag
        return self.send(session, request, **options)

    def maker(self):
        """The method of a service that asked for the request, and the texts and numbers it was called with."""
        frame = sys._getframe()
        while frame := frame.f_back:
            code = frame.f_code
            service = self.services.get(id(frame.f_locals.get("self"))) if code.co_varnames[:1] == ("self",) else None
            if service and not code.co_name.startswith("_"):
                names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
                values = {name: frame.f_locals.get(name) for name in names}
                return f"{service}.{code.co_name}", {k: str(v) for k, v in values.items() if isinstance(v, (str, int)) and not isinstance(v, bool)}
        return None, {}

    def run(self, client, call, full, make):
        self.client, self.call, self.full, self.number, self.sent = client, call, full, self.number + 1, 0
        error = None
        try:
            first(make())
        except Stop:
            error = "stopped"
        except Exception as e:  # what the SDK makes of an empty answer does not matter: its request is sent
            error = f"{type(e).__name__}: {e}"[:300]
        line = {"client": client, "called": call, "full": full, "requests": self.sent, "error": error}
        self.call = None
        print(json.dumps(line), flush=True)


def first(result):
    """Whatever is lazy asks for its first item."""
    if inspect.isgenerator(result) or hasattr(result, "__next__"):
        next(result, None)


def sleepless(_seconds):
    raise Stop


def services(client):
    """Every service of a client, nested ones by their dotted names."""

    def visit(prefix, node, depth):
        for name, _ in inspect.getmembers(type(node), lambda member: isinstance(member, property)):
            service = getattr(node, name)
            if not name.startswith("_") and type(service).__module__.startswith(("databricks.sdk.service.", "databricks.sdk.mixins.")):
                yield prefix + name, service
                if depth:
                    yield from visit(f"{prefix}{name}.", service, depth - 1)

    yield from visit("", client, 2)


def methods(service):
    for name, function in inspect.getmembers(type(service), inspect.isfunction):
        if not name.startswith("_"):
            yield name, function


def sdk(watch, args, token):
    config = {"token": token, "auth_type": "pat", "retry_timeout_seconds": 15, "account_id": ACCOUNT}
    clients = {
        "workspace": WorkspaceClient(config=Config(host=args.workspace, workspace_id=WORKSPACE, **config)),
        "account": AccountClient(config=Config(host=args.account, **config)),
    }
    for client, root in clients.items():
        found = list(services(root))
        watch.services.update({id(service): name for name, service in found})
        for service_name, service in found:
            for method, function in methods(service):
                call = f"{service_name}.{method}"
                if args.only and not call.startswith(args.only):
                    continue
                for full in (False, True):
                    arguments = Sampler(call, function, full).arguments()
                    watch.run(client, call, full, lambda: getattr(service, method)(**arguments))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workspace", required=True)
    parser.add_argument("--account", required=True)
    parser.add_argument("--mlflow", help="not called")
    parser.add_argument("--only", help="the calls whose names begin so")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    token = sys.stdin.read().strip()
    watch = Watch()
    time.sleep = sleepless
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sdk(watch, args, token)


if __name__ == "__main__":
    main()
