"""Where the report says its figures come from."""

from typing import Any

from analysis.load import load_study
from analysis.provenance import provenance


def test_the_report_tells_it(make_study: Any) -> None:
    full_study = make_study("provenance")
    tables = load_study("provenance", full_study.uri)
    told = dict(provenance(tables))
    assert (told["images"], told["version of the attackers"]) == ("5f0c", "3")
    assert "commit" not in told, "an older study has none"
    starts = {"starts": [
        {"code": "0123456789abcdef0123 + changes", "versions": {"torch": "2"}, "machine": "m",
         "first": "a", "last": "b", "count": 3}, "broken",
    ]}  # fmt: skip
    full_study.client.log_dict(full_study.run_id, starts, "provenance.json")
    told = dict(provenance(load_study("provenance", full_study.uri)))
    assert told["commit"] == "0123456789ab + changes"
    assert told["started"] == "a to b (3 starts)"
    assert told["versions"] == "torch 2"
