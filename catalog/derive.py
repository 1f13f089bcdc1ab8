#!/usr/bin/env python3
"""What the public Databricks SDK for Python calls, held against the catalog.

    catalog/derive.py                 report what is new, gone or changed; exit 1 where the catalog or catalog/sdk.tsv lags behind
    catalog/derive.py --write         write catalog/sdk.tsv anew
    catalog/derive.py --propose       print an entry for every call that has none, for a person to judge and place

The SDK is read, never run: its pinned wheel is downloaded once, without its dependencies (--sdk names an unpacked one instead).
catalog/sdk.tsv is what was found there, sorted: client, method, path, action, keys of the query, keys of the body (`*name`: the whole of a
dataclass). Entries are curated by hand and never rewritten; this script only says which are missing. Needs PyYAML.
"""
import argparse, ast, pathlib, re, subprocess, sys, zipfile

import yaml

SDK = "databricks-sdk==0.162.0"
HERE = pathlib.Path(__file__).resolve().parent
LIST = HERE / "sdk.tsv"
CLIENTS = {"WorkspaceClient": "workspace", "AccountClient": "account"}
# Calls whose path is a variable in the SDK: what it is at run time, from reading the code.
VARIABLE_PATHS = {
    "serving_endpoints_data_plane.query": ["/serving-endpoints/{name}/invocations"],
}


def download(folder):
    """The unpacked SDK below `folder`."""
    root = folder / SDK.replace("==", "-")
    if not root.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, SDK], check=True)
        wheel = next(folder.glob("databricks_sdk-*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(root)
    return root


# === reading the SDK ===


class Sdk:
    """Every class of the SDK's services, and of what extends them."""

    def __init__(self, root):
        self.root = root / "databricks" / "sdk"
        self.by_name = {}
        for file in sorted(self.root.glob("service/*.py")) + sorted(self.root.glob("mixins/*.py")):
            for node in ast.parse(file.read_text()).body:
                if isinstance(node, ast.ClassDef):
                    self.by_name.setdefault(node.name, []).append((file.stem, node))

    def resolve(self, name):
        """The class of an annotation such as `pkg_iam.GroupsAPI`."""
        *module, name = name.strip("'\"").split(".")
        module = module[0].removeprefix("pkg_") if module and module[0].startswith("pkg_") else None
        found = [node for stem, node in self.by_name.get(name, []) if module in (None, stem)]
        return found[0] if len(found) == 1 else None

    def rows(self):
        """(client, method, path, action, query, body) of every call, sorted."""
        rows = set()
        for top in ast.parse((self.root / "__init__.py").read_text()).body:
            if isinstance(top, ast.ClassDef) and top.name in CLIENTS:
                self.visit(CLIENTS[top.name], "", top, rows, 0)
        return sorted(rows)

    def visit(self, client, prefix, node, rows, depth):
        for function in node.body:
            is_property = isinstance(function, ast.FunctionDef) and any(ast.unparse(d) == "property" for d in function.decorator_list)
            service = self.resolve(ast.unparse(function.returns)) if is_property and function.returns else None
            if service is None:
                continue
            name = prefix + function.name
            for method, calls in self.calls(service).items():
                for verb, path, query, body in calls:
                    action = f"{name}.{method}"
                    for path in VARIABLE_PATHS.get(action, [path]):
                        rows.add((client, verb, path, action, query, body))
            if depth < 2:
                self.visit(client, name + ".", service, rows, depth + 1)

    def calls(self, node):
        """By method, its own or inherited: (HTTP method, path, query, body) of each request it makes."""
        found = {}
        for base in node.bases:
            if parent := self.resolve(ast.unparse(base)):
                found.update(self.calls(parent))
        for function in node.body:
            if not isinstance(function, ast.FunctionDef):
                continue
            own = [request(function, call) for call in ast.walk(function) if is_request(call)]
            if own:
                found[function.name] = own
        return found


def is_request(node):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "do"


def request(function, call):
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    verb = call.args[0] if call.args else named.get("method")
    path = call.args[1] if len(call.args) > 1 else named.get("path", named.get("url"))
    return text(verb), text(path), ",".join(keys(function, "query")), ",".join(keys(function, "body"))


def text(node):
    """A literal, or a format string with its holes named."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "{" + hole(part.value) + "}" for part in node.values)
    return "{" + hole(node) + "}"


def hole(node):
    """The last name in an expression: `account_id` of `self._api.account_id`, `file_path` of `_escape(file_path)`."""
    if isinstance(node, ast.Attribute) and node.attr == "value":
        return hole(node.value)
    names = [n.attr if isinstance(n, ast.Attribute) else n.id for n in ast.walk(node) if isinstance(n, (ast.Attribute, ast.Name))]
    if isinstance(node, ast.Call) and node.args:
        return hole(node.args[0])
    return names[0] if names else "value"


def keys(function, variable):
    found = []
    for node in ast.walk(function):
        if not isinstance(node, ast.Assign):
            continue
        target = node.targets[0]
        if isinstance(target, ast.Subscript) and ast.unparse(target.value) == variable and isinstance(target.slice, ast.Constant):
            found.append(target.slice.value)
        elif ast.unparse(target) == variable and isinstance(node.value, ast.Call) and ast.unparse(node.value.func).endswith(".as_dict"):
            found.append("*" + ast.unparse(node.value.func.value))
    return sorted(set(found))


# === the catalog ===


def entries(folder):
    """(action and aliases, method, targets, [template]) of every call in the catalog."""
    for file in sorted(folder.glob("*.yaml")):
        content = yaml.safe_load(file.read_text())
        for call in content.get("calls", []):
            names = {call["action"], *call.get("aliases", [])}
            targets = call.get("targets", content.get("targets", ["workspace"]))
            yield names, call["method"], targets, [segments(path) for path in alternatives(call["path"])]


def alternatives(path):
    """`/a/{b|c}` as `/a/b` and `/a/c`."""
    match = re.search(r"\{([^{}]*\|[^{}]*)\}", path)
    if not match:
        return [path]
    return [one for choice in match[1].split("|") for one in alternatives(path[: match.start()] + choice + path[match.end() :])]


def segments(path):
    """The segments of a template, `*` for a hole: `/x/{name=a/*}:go` is x, a, *:go."""
    path = re.sub(r"\{\w+=([^{}]*)\}", r"\1", path)
    path = re.sub(r"(?<=[^/])\{", "/{", path) if re.search(r"[^/]\{\w*path\w*\}", path) else path
    return re.sub(r"\{[^{}]*\}", "*", path).strip("/").split("/")


def covers(template, path):
    """Whether `template` is `path` where each hole of `path` stands for one segment or more."""
    if not template or not path:
        return not template and not path
    if path[0].startswith("*"):
        verb = path[0][1:]
        return any(
            (template[taken - 1].endswith(verb) if verb else ":" not in template[taken - 1]) and covers(template[taken:], path[1:])
            for taken in range(1, len(template) + 1)
        )
    return template[0] == path[0] and covers(template[1:], path[1:])


def missing(rows, folder):
    """Every row that no entry has, by action, method, target and path."""
    known = {}
    for names, method, targets, templates in entries(folder):
        for name in names:
            known.setdefault((name, method), []).append((targets, templates))
    for row in rows:
        client, method, path, action = row[:4]
        fitting = [templates for targets, templates in known.get((action, method), []) if client in targets]
        if not any(covers(template, segments(path)) for templates in fitting for template in templates):
            yield row


def proposal(row):
    """An entry as a person would begin it. Its level is the cautious one."""
    client, method, path, action, query, body = row
    level = "read" if method in ("GET", "HEAD") else "manage"
    holes = [name for name in re.findall(r"\{(\w+)\}", path) if name != "account_id"]
    resource = f", resource: {{ type: TODO, id: {holes[-1]} }}" if holes else ""
    targets = "" if client == "workspace" else f"targets: [{client}], "
    return f'  - {{ {targets}action: {action}, level: {level}, method: {method}, path: "{path}"{resource} }} # query: {query or "-"}, body: {body or "-"}'


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sdk", type=pathlib.Path, help="the folder of an unpacked wheel, in place of the pinned one")
    parser.add_argument("--catalog", type=pathlib.Path, default=HERE, help="the folder of the catalog's files")
    parser.add_argument("--write", action="store_true", help="write sdk.tsv")
    parser.add_argument("--propose", action="store_true", help="print entries for calls that have none")
    args = parser.parse_args()
    rows = Sdk(args.sdk or download(HERE.parent / ".tools" / "sdk")).rows()
    lines = ["\t".join(row) for row in rows]
    before = LIST.read_text().splitlines()[1:] if LIST.is_file() else []
    if args.write:
        LIST.write_text("\n".join(["\t".join(["client", "method", "path", "action", "query", "body"]), *lines]) + "\n")
    new, gone = sorted(set(lines) - set(before)), sorted(set(before) - set(lines))
    calls = lambda found: {tuple(line.split("\t")[:4]): line for line in found}
    changed = calls(new).keys() & calls(gone).keys()
    for word, found in (("new", new), ("gone", gone)):
        for call, line in sorted(calls(found).items()):
            print(f"{'changed' if call in changed else word}\t{line}") if word == "new" or call not in changed else None
    uncovered = list(missing(rows, args.catalog))
    if args.propose:
        print("calls:", *map(proposal, uncovered), sep="\n")
    else:
        for row in uncovered:
            print("no entry\t" + "\t".join(row))
    drift = (new or gone) and not args.write
    print(f"{SDK}: {len(rows)} calls, {len({(r[1], r[2]) for r in rows})} methods and paths; {len(uncovered)} without an entry", file=sys.stderr)
    sys.exit(1 if drift or uncovered else 0)


if __name__ == "__main__":
    main()
