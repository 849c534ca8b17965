"""Splits: disjoint, complete, pure, and by person where that is asked for."""

import numpy as np
import pytest
from numpy.typing import NDArray

from trainables.data.source import DataError
from trainables.data.splits import SPLIT_NAMES, Splits, make_splits

FRACTIONS = (0.64, 0.16, 0.08, 0.12)
PEOPLE = np.random.default_rng(0).integers(0, 120, 500)
PARTITION = np.repeat([0, 1, 2], [300, 120, 80]).astype(np.int8)


def _split(scheme: str, seed: int = 0, people: NDArray[np.int64] = PEOPLE) -> Splits:
    return make_splits(scheme, FRACTIONS, seed, len(people), people, PARTITION)


@pytest.mark.parametrize("scheme", ["image", "identity", "official"])
def test_disjoint_complete_sorted_and_pure(scheme: str) -> None:
    splits = _split(scheme)
    parts = [splits.rows(name) for name in SPLIT_NAMES]
    assert np.sort(np.concatenate(parts)).tolist() == list(range(500))
    for part in parts:
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()
    assert _split(scheme).hash == splits.hash
    assert _split(scheme, seed=1).hash != splits.hash


def test_by_image_has_exactly_the_fractions() -> None:
    splits = _split("image")
    assert [len(splits.rows(name)) for name in SPLIT_NAMES] == [320, 80, 40, 60]


def test_by_identity_shares_no_person_and_keeps_the_fractions_roughly() -> None:
    splits = _split("identity")
    people = [set(PEOPLE[splits.rows(name)]) for name in SPLIT_NAMES]
    for index, mine in enumerate(people):
        for other in people[index + 1 :]:
            assert not mine & other
    sizes = np.array([len(splits.rows(name)) for name in SPLIT_NAMES]) / 500
    # A cut is off by at most half of the person it falls on.
    assert np.abs(sizes - FRACTIONS).max() <= np.bincount(PEOPLE).max() / 500


def test_official_keeps_validation_and_test_and_shares_out_training() -> None:
    splits = _split("official")
    assert splits.selection.tolist() == list(range(300, 420))
    assert splits.test.tolist() == list(range(420, 500))
    assert len(splits.private) == 240  # 0.64 : 0.16 of 300
    assert len(splits.public) == 60


def test_official_needs_a_partition() -> None:
    with pytest.raises(DataError, match="official.*partition"):
        make_splits("official", FRACTIONS, 0, 500, PEOPLE, None)


def test_official_without_validation_images_is_refused() -> None:
    with pytest.raises(DataError, match="'selection' split would be empty"):
        make_splits("official", FRACTIONS, 0, 300, PEOPLE[:300], PARTITION[:300])


def test_official_without_a_validation_part_takes_selection_from_training() -> None:
    partition = np.where(PARTITION == 1, 0, PARTITION).astype(np.int8)
    splits = make_splits("official", FRACTIONS, 0, 500, PEOPLE, partition)
    assert splits.test.tolist() == list(range(420, 500))
    sizes = [len(splits.rows(name)) for name in SPLIT_NAMES]
    assert sizes == [305, 77, 38, 80]  # 0.64 : 0.16 : 0.08 of 420, cut at 305.5 and 381.8
    rows = np.concatenate([splits.rows(name) for name in SPLIT_NAMES])
    assert np.sort(rows).tolist() == list(range(500))


def test_too_few_people_for_four_splits() -> None:
    with pytest.raises(DataError, match="split would be empty.*identity"):
        _split("identity", people=np.zeros(500, dtype=np.int64))


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'people' is unknown; known: image, identity, official"):
        _split("people")
    with pytest.raises(ValueError, match="'train' is unknown; known: private"):
        _split("image").rows("train")


def test_hash_tells_splits_apart_that_hold_the_same_rows_in_other_parts() -> None:
    one, two = np.array([0]), np.array([1])
    rest = np.array([2]), np.array([3])
    assert Splits(one, two, *rest).hash != Splits(two, one, *rest).hash
