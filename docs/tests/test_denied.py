"""docs/denied.md tells whoever calls what to do about each refusal of a call that policies permit."""
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PERMITTED = re.findall(r"^\| `(\w+)` \|.*\| it is permitted, and", (ROOT / "docs/reasons.md").read_text(), flags=re.M) + ["CREDENTIAL_UNAVAILABLE"]
ROWS = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", (ROOT / "docs/denied.md").read_text(), flags=re.M))


def test_the_reasons_are_found():
    assert PERMITTED == ["IDENTITY_UNKNOWN", "CREDENTIAL_REFUSED", "CREDENTIAL_CONFLICT", "CREDENTIAL_UNAVAILABLE"]


@pytest.mark.parametrize("code", PERMITTED)
def test_it_has_a_row_that_says_that_the_call_is_permitted(code):
    assert ROWS[code].startswith("you are permitted, and ")
