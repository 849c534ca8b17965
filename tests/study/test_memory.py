"""A trial that the kernel kills for want of memory, on a real Ray: named, and the others go on."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.study.test_sweep import start

GROUPS = Path("/sys/fs/cgroup/memory")
ROOM = 60_000_000


@pytest.fixture
def small_room() -> Iterator[Path]:
    """A control group in which a process may take sixty megabytes more than it has."""
    group = GROUPS / f"cutpoint-{uuid.uuid4().hex[:8]}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(ROOM))
    except OSError as error:
        pytest.skip(f"no control group of one's own can be made here: {error}")
    yield group
    group.rmdir()


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(420)
def test_a_trial_that_memory_does_not_suffice_for_fails_alone(
    tmp_path: Path, small_room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("model.cut_point=conv3", "study.num_encoders=3")
    monkeypatch.setenv("FAKE_REST", "0.5")
    monkeypatch.setenv("FAKE_HUNGRY", str(small_room))
    process = start(tmp_path, *words)
    text = process.communicate(timeout=300)[0]
    assert process.returncode == 1, text
    assert text.count("its process was lost; it is started again") == 3
    assert "its process ended without a word (killed, or out of memory?)" in text
    assert "lower protector.batch_size, model.width or data.image_size" in text
    encoders = pd.read_parquet(tmp_path / "small" / "encoders.parquet")
    states = encoders[encoders["role"].isin(["searched", "undefended"])]["status"]
    assert sorted(states) == ["failed", "verified", "verified"]
    control = (small_room / "memory.oom_control").read_text().split()
    if "oom_kill" in control:
        # Tune starts what was killed once more by itself.
        assert int(control[control.index("oom_kill") + 1]) >= 4
