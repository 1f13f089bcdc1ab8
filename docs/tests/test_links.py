"""Every relative link in a Markdown file leads to a file, and its anchor to a heading."""
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


def markdown():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted(ROOT / line for line in listed.splitlines())


def prose(text):
    """The text without code, in which brackets are no links."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.S | re.M))


def anchors(text):
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.S | re.M), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


def broken(file, root):
    for target in (a or b for a, b in LINK.findall(prose(file.read_text()))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        to = (file.parent / path).resolve() if path else file
        if not to.exists() or not to.is_relative_to(root):
            yield f"{target}: no such file"
        elif anchor and anchor not in anchors(to.read_text()):
            yield f"{target}: no such heading"


def test_there_are_documents():
    assert {f.relative_to(ROOT).as_posix() for f in markdown()} >= {"README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/operations.md"}


@pytest.mark.parametrize("file", markdown(), ids=lambda f: f.relative_to(ROOT).as_posix())
def test_links(file):
    assert list(broken(file, ROOT)) == []


@pytest.mark.parametrize("file", markdown(), ids=lambda f: f.relative_to(ROOT).as_posix())
def test_paths_in_code_are_there(file):
    named = re.findall(r"(?<![\w/.-])(?:manifests|docs)/[\w.-]+(?:/[\w.-]+)*", " ".join(re.findall(r"`[^`\n]*`", file.read_text())))
    assert [p for p in named if not (ROOT / p).exists()] == []


def test_a_broken_link_is_found(tmp_path):
    (tmp_path / "b.md").write_text("# One heading, two words\n")
    (tmp_path / "a.md").write_text("[x](b.md) [y](c.md) [z](b.md#one-heading-two-words) [w](b.md#nowhere) [v](../../outside.md) [u](https://example.com) `[t](d.md)`\n```\n[s](e.md)\n```\n")
    assert list(broken(tmp_path / "a.md", tmp_path)) == ["c.md: no such file", "b.md#nowhere: no such heading", "../../outside.md: no such file"]
