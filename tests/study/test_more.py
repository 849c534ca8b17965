"""`study.num_encoders=+N`: the same command every night, and after a kill."""

from pathlib import Path

import pytest

from study.folder import StudyFolder
from study.loading import load_config
from study.more import with_total
from study.since import Ends
from tests.study.search_driver import Driver
from trainables.errors import ConfigError

SMALL = str(Path(__file__).parent / "small.yaml")


def total(folder: StudyFolder, word: str) -> int:
    return with_total(load_config(SMALL, [f"study.num_encoders={word}"]), folder).study.num_encoders


def test_more_is_counted_from_the_last_end(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path, "small")
    assert total(folder, "+8") == 8
    assert total(folder, "+8") == 8  # killed before its end, and started again
    Ends(folder).note_size(8)
    assert total(folder, "+8") == 16
    assert total(folder, "+8") == 16
    Ends(folder).note_size(13)  # its time was up
    assert total(folder, "+8") == 21
    assert total(folder, "8") == 8


def test_a_total_that_was_worked_out_is_kept_as_a_total(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path, "small")
    Ends(folder).note_size(4)
    config = with_total(load_config(SMALL, ["study.num_encoders=+3"]), folder)
    assert "num_encoders: 7" in config.to_yaml()
    assert with_total(config, folder).study.num_encoders == 7


def test_a_damaged_note_is_no_zero(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path, "small")
    Ends(folder).note_size(4)
    folder.ended.write_text("{")
    with pytest.raises(ConfigError, match=r"ended.json is damaged.*\+3"):
        total(folder, "+3")
    assert total(folder, "9") == 9


@pytest.mark.parametrize("word", ["+0", "+x", "+-1"])
def test_what_is_no_number_of_encoders_is_refused(word: str) -> None:
    with pytest.raises(ConfigError, match=r"study\.num_encoders"):
        load_config(SMALL, [f"study.num_encoders={word}"])


def test_encoders_that_time_did_not_suffice_for_are_not_counted(make_bench) -> None:
    bench = make_bench("study.num_encoders=9", "attack.group=3")
    driver = Driver(bench)
    for _ in range(7):  # four references, labels with its attack, and one more encoder
        driver.finish(*driver.take())
    bench.search._may_start = lambda: False
    driver.run()
    assert bench.search.finished
    assert bench.search.num_started == 1
    assert bench.search.num_not_started == 1
