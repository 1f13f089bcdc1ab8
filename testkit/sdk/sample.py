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

# How deep dataclasses are filled below an argument.
DEPTH = 3

# Names of Unity Catalog, by how many parts they have.
DOTTED = {1: "main", 2: "main.ml", 3: "main.ml.churn", 4: "main.ml.churn.amount"}

# What a text is where its name alone does not say: by `service.method.name`, `service.name` or `name`, the nearest first.
TEXTS = {
    "account_id": ACCOUNT,
    "workspace_id": WORKSPACE,
}

# A resource name as the documentation writes it: `projects/{project_id}/branches/{branch_id}`.
FORMAT = re.compile(r"[a-z][A-Za-z_-]*(?:/(?:\{[A-Za-z_-]+\}(?:\.\{[A-Za-z_-]+\})*|[A-Za-z][A-Za-z_-]*))+")


class Sampler:
    """Fills the parameters of one method."""

    def __init__(self, action, function, full):
        self.action = action
        self.full = full
        self.within = []
        self.function = function
        self.documented = documented(inspect.getdoc(function) or "")

    def arguments(self):
        hints = typing.get_type_hints(self.function)
        taken = {}
        for parameter in list(inspect.signature(self.function).parameters.values())[1:]:
            if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL) or parameter.name == "callback":
                continue
            hint = hints.get(parameter.name, str)
            if parameter.name == "timeout" and isinstance(parameter.default, datetime.timedelta):
                taken[parameter.name] = datetime.timedelta(minutes=1)
            elif parameter.default is parameter.empty or (self.full and parameter.name not in PAGING):
                taken[parameter.name] = self.value(parameter.name, hint, DEPTH, self.documented.get(parameter.name, ""))
        return taken

    def value(self, name, hint, depth, doc=""):
        hint = unwrapped(hint)
        origin, of = typing.get_origin(hint), typing.get_args(hint)
        if hint is bool:
            return True
        if hint is int:
            return number(name)
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
            return next(iter(hint))
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
            if required or (self.full and field.name not in PAGING):
                fields[field.name] = self.value(field.name, hints[field.name], depth - 1, docs.get(field.name, ""))
            elif field.name == "name" and depth == DEPTH:
                # the SDK marks it optional where the server sets it, and takes it for the path where it does not
                fields[field.name] = self.value(field.name, hints[field.name], depth - 1, docs.get(field.name, ""))
        self.within.pop()
        return kind(**fields)

    def text(self, name, doc):
        service = self.action.rsplit(".", 1)[0]
        for key in (f"{self.action}.{name}", f"{service}.{name}", name):
            if key in TEXTS:
                return TEXTS[key]
        if found := FORMAT_AFTER.search(doc):
            return filled_format(found[1])
        if name == "id" or name.endswith("_id") or name.endswith("_ids"):
            return str(number(name))
        if name.endswith("_uri") or name.endswith("url"):
            return f"https://example.com/{name}"
        return name.replace("_", "-") + "-1"


PAGING = {"page_token", "callback"}
FORMAT_AFTER = re.compile(r"[Ff]ormat:?[\s\"'`:]+(" + FORMAT.pattern + ")")
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


def number(name):
    """A number of its own for each name: an id, decimal as most are, and told apart from every other in a record."""
    return 1_000_000 + zlib.crc32(name.removesuffix("s").encode()) % 8_999_999


def filled_format(text):
    return re.sub(r"\{([A-Za-z_-]+)\}", lambda hole: component(hole[1].replace("-", "_")), text)


def component(hole):
    named = {"account_id": ACCOUNT, "account": ACCOUNT, "catalog": "main", "catalog_name": "main", "schema": "ml", "schema_name": "ml", "workspace_id": WORKSPACE}
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
