"""docs/catalog-format.md has every word that a catalog may use, and no other in its examples."""
import pathlib
import re

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/catalog-format.md").read_text()
RAW = (ROOT / "src/classify/catalog/raw.rs").read_text()
ENTRY = (ROOT / "src/classify/entry.rs").read_text()
KINDS = (ROOT / "src/classify/kinds.rs").read_text()


def keys(struct):
    """The keys of a mapping as the reader of the catalog takes them."""
    (body,) = re.findall(r"struct %s \{\n(.*?)^\}" % struct, RAW, flags=re.S | re.M)
    found = re.findall(r"((?:^ +#\[.*\]\n)*)^ +pub\(super\) (\w+):", body, flags=re.M)
    return {(re.findall(r'rename = "(\w+)"', attributes) or [name])[0] for attributes, name in found}


def words(enum, text=RAW):
    """The words of a closed set; those that no file can say are left out."""
    (body,) = re.findall(r"enum %s \{\n(.*?)^\}" % enum, text, flags=re.S | re.M)
    return {word.lower() for skipped, word in re.findall(r"(#\[serde\(skip\)\]\n)?^ +(\w+),$", body, flags=re.M) if not skipped}


STRUCTS = ["RawFile", "RawType", "RawCall", "RawBinding", "RawChosen", "RawField"]
ENUMS = [("RawMark", RAW), ("RawForm", RAW), ("RawLevel", RAW), ("RawKind", RAW), ("BodyUse", ENTRY), ("Nesting", KINDS)]
EXAMPLES = re.findall(r"^```yaml\n# ([\w-]+\.yaml)\n(.*?)^```", PAGE, flags=re.S | re.M)


def test_the_words_are_found():
    assert keys("RawField") == {"name", "kind", "from", "in", "form", "prefix"}
    assert words("RawMark") == {"executes", "egress", "presigned", "mints"}
    assert words("Nesting", KINDS) == {"flat", "dotted", "path", "volume"}


@pytest.mark.parametrize("struct", STRUCTS)
def test_every_key_is_told(struct):
    code = " ".join(re.findall(r"`[^`\n]*`", PAGE))
    assert [key for key in sorted(keys(struct)) if not re.search(r"[`{ ]%s[`:]" % key, code)] == []


@pytest.mark.parametrize("enum, text", ENUMS, ids=[enum for enum, _ in ENUMS])
def test_every_word_is_told(enum, text):
    assert [word for word in sorted(words(enum, text)) if f"`{word}`" not in PAGE] == []


@pytest.mark.parametrize("name, text", EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_examples_have_known_keys_alone(name, text):
    content = yaml.safe_load(text)
    if name == "lakegate.yaml":
        assert content.keys() == {"services", "catalog"}
        return
    pairs = [("RawFile", content)] + [("RawType", t) for t in content.get("types", [])]
    for call in content["calls"]:
        pairs += [("RawCall", call)] + [("RawField", field) for field in call.get("fields", [])]
        pairs += [("RawBinding", binding) for binding in [*call.get("resources", []), *filter(None, [call.get("resource")])]]
    assert [(struct, key) for struct, mapping in pairs for key in mapping if key not in keys(struct)] == []


def test_the_examples_are_found():
    assert [name for name, _ in EXAMPLES] == ["features.yaml", "private-endpoints.yaml", "lakegate.yaml"]
