"""Where a study's figures come from: which code, which versions, which machine, for each start."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from study.folder import StudyFolder, read_json, write_json
from trainables.provenance import ROOT, code_version, machine, versions

FILE = "provenance.json"


def note_start(folder: StudyFolder) -> dict[str, Any]:
    """Notes a start of a study beside the earlier ones; one like the last is only counted.

    Returns:
        `starts`, the oldest first: `code`, `versions`, `machine`, `first` and `last` (UTC) and
        `count` of each.
    """
    path = folder.root / FILE
    starts = list((read_json(path) or {}).get("starts", []))
    now, circumstances = datetime.now(UTC).isoformat(timespec="seconds"), _circumstances()
    if starts and all(starts[-1].get(name) == value for name, value in circumstances.items()):
        starts[-1] |= {"last": now, "count": int(starts[-1].get("count", 1)) + 1}
    else:
        starts.append({**circumstances, "first": now, "last": now, "count": 1})
    write_json({"starts": starts}, path)
    folder.mirror.push(path)
    return {"starts": starts}


def _circumstances() -> Mapping[str, Any]:
    return {"code": code_version(ROOT), "versions": versions(), "machine": machine()}
