"""What a report says of where its figures come from."""

from collections.abc import Mapping

from analysis.load import StudyTables

FILE = "provenance.json"
COMMIT_SHOWN = 12


def provenance(tables: StudyTables) -> list[tuple[str, str]]:
    """(name, text): code, versions and machine of every kind of start, data, seeds, time."""
    rows: list[tuple[str, str]] = []
    starts = [one for one in tables.mapping(FILE).get("starts", []) if isinstance(one, Mapping)]
    for one in starts:
        when = str(one.get("first", ""))
        if one.get("count", 1) != 1:
            when += f" to {one.get('last', '')} ({one['count']} starts)"
        rows.append(("started", when))
        rows.append(("commit", _commit(str(one.get("code", "")))))
        versions = one.get("versions")
        if isinstance(versions, Mapping):
            rows.append(("versions", ", ".join(f"{k} {v}" for k, v in versions.items())))
        rows.append(("driver's machine", str(one.get("machine", ""))))
    rows += [
        ("images", str(tables.data.get("content_hash", ""))),
        ("splits", str(tables.data.get("splits_hash", ""))),
        ("version of the attackers", tables.params.get("suite_version", "")),
        ("seed of the study", tables.params.get("seed", "")),
        ("precision", tables.params.get("precision", "")),
        ("time", _time(tables)),
    ]
    return [(name, text) for name, text in rows if text]


def _commit(code: str) -> str:
    commit, _, rest = code.partition(" ")
    return f"{commit[:COMMIT_SHOWN]} {rest}".strip()


def _time(tables: StudyTables) -> str:
    """Seconds that trials took, on whatever they held: an attack that failed is not in them."""
    encoders = tables.encoders
    parts = [
        (encoders[name].sum() / 3600, what)
        for name, what in (("seconds/protect", "training"), ("seconds/attack", "attacks"))
    ]
    return ", ".join(f"{hours:.2f} trial hours of {what}" for hours, what in parts if hours > 0)
