"""Whatever a file holds, reading it gives a result or an error of the project's own."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from study.checkpoints import Checkpoints
from study.folder import read_json
from study.loading import load_config
from study.run import _parser, _split_words, parse_duration
from study.spool import Spool
from trainables.data.avatars import AvatarsSource
from trainables.data.celeba import CelebaSource
from trainables.data.folder import FolderSource
from trainables.data.source import DataError
from trainables.data.store import open_store, prepare_store
from trainables.errors import ConfigError

often = settings(
    max_examples=150, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip

# What comes close to the real thing gets further than noise does.
numbers = st.sampled_from(["1", "-1", "0", "2", "1.0", "", "--1", "9" * 40, "9" * 5000, "¹", "−1"])
names = st.sampled_from(
    ["a.jpg", "b.jpg", "../a.jpg", "/etc/passwd", ".", "..", "a\0.jpg", "ü.jpg", "a" * 300, "Male",
     "Smiling", "../../x", "<script>", "a/b", "%s", "Male:x", "\u202eelaM", "\x85", ""]
)  # fmt: skip
words = st.lists(st.one_of(numbers, names, st.text(max_size=8)), max_size=5).map(" ".join)
text_files = st.one_of(
    st.lists(words, max_size=8).map("\n".join).map(lambda text: text.encode("utf-8", "replace")),
    st.binary(max_size=200),
)


def attribute_file(rows: list[tuple[str, str]], header: list[str], count: str) -> bytes:
    """Nearly what CelebA distributes."""
    lines = [count, " ".join(header), *(f"{name} {values}" for name, values in rows)]
    return "\n".join(lines).encode("utf-8", "replace")


near_attributes = st.one_of(
    text_files,
    st.builds(
        attribute_file,
        st.lists(st.tuples(names, st.lists(numbers, max_size=3).map(" ".join)), max_size=4),
        st.lists(names, min_size=1, max_size=3),
        st.one_of(numbers, st.integers(0, 5).map(str)),
    ),
)


@often
@given(near_attributes, st.none() | text_files, st.none() | text_files)
def test_celebas_files(
    attributes: bytes, identities: bytes | None, partition: bytes | None
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        images = root / "img_align_celeba"
        images.mkdir()
        for name in ("a.jpg", "b.jpg"):
            Image.new("RGB", (8, 8)).save(images / name)
        (root / "list_attr_celeba.txt").write_bytes(attributes)
        for name, content in (
            ("identity_CelebA.txt", identities), ("list_eval_partition.txt", partition),
        ):  # fmt: skip
            if content is not None:
                (root / name).write_bytes(content)
        try:
            source = CelebaSource(root)
            source.check()
            labels = source.labels()
            people, parts = source.identities(), source.partition()
        except DataError as error:
            assert str(root) in str(error) or "data." in str(error)
        else:
            assert labels.shape == (len(source), len(source.attribute_names))
            assert people.shape == (len(source),)
            assert parts is None or parts.shape == people.shape


@often
@given(st.binary(max_size=40), st.integers(0, 30_000), st.sampled_from(["put", "cut", "insert"]))
def test_damaged_image_stores(noise: bytes, place: int, how: str) -> None:
    content = bytearray(_store())
    place %= len(content)
    if how == "cut":
        del content[place:]
    elif how == "put":
        content[place : place + len(noise)] = noise
    else:
        content[place:place] = noise
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.arrow"
        path.write_bytes(content)
        try:
            store = open_store(path)
            # Looked at, as a trial does: no size in the header leads out of the file.
            assert int(store.images.sum(dtype="int64")) >= 0
            assert len(store.labels) == len(store.images) == len(store.identities)
        except DataError as error:
            assert str(path) in str(error)


_STORE: list[bytes] = []


def _store() -> bytes:
    if not _STORE:
        with tempfile.TemporaryDirectory() as folder:
            _STORE.append(prepare_store(AvatarsSource(6, 0), 8, 8, Path(folder)).path.read_bytes())
    return _STORE[0]


@often
@given(st.lists(st.lists(names, min_size=1, max_size=3), max_size=6), st.binary(max_size=30))
def test_folders_of_images(paths: list[list[str]], content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        root.mkdir()
        for steps in paths:
            kept = [
                step for step in steps if step and not set(step) & set("/\0") and len(step) < 99
            ]
            if not kept or ".." in kept:
                continue
            path = root.joinpath(*kept)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            except OSError:
                continue
        try:
            source = FolderSource(root)
            source.check()
            for chunk, rows in source.images(8, 8):
                assert len(chunk) == len(rows)
        except DataError as error:
            assert str(root) in str(error) or "data." in str(error)


values = st.one_of(
    st.text(max_size=12), st.integers(), st.floats(), st.booleans(), st.none(),
    st.sampled_from(
        ["1", "[1, 2]", "{low: 1, high: 2}", "{low: 2, high: 1}", "[", "!!python/name:os",
         "&a [*a]", "1e999", ".inf", ".nan", "conv3", "[conv3, conv9]", "{}", "[]", "\0",
         "2001-01-01", "0x", "~", "? [a]", "<<: 1", "[[1]]", "9" * 5000, "2001-13-45",
         "[" * 5000]
    ),
).map(str)  # fmt: skip
keys = st.sampled_from(
    ["study.name", "study.seed", "study.num_encoders", "study.sampler", "study.storage",
     "study.baselines", "data.source", "data.root", "data.image_size", "data.private",
     "data.utility", "data.num_images", "data.split", "model.backbone", "model.cut_point",
     "model.width", "protector.name", "protector.lambda1", "protector.rounds", "protector.x",
     "protector.label_flip.alpha", "attack.suite", "attack.group", "attack.max_steps",
     "attack.identity_model", "resources.precision", "resources.cpus_per_attack",
     "report.reconstructions", "other.x", "study", ".", "study.", "protector..x"]
)  # fmt: skip


@often
@given(st.lists(st.builds("{}={}".format, keys, values), max_size=4))
def test_overrides(overrides: list[str]) -> None:
    try:
        config = load_config("quickstart", overrides)
    except ConfigError as error:
        assert str(error)
    else:
        # What is accepted is the same study when it is written down and read again.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "again.yaml"
            path.write_text(config.to_yaml(), encoding="utf-8")
            assert load_config(str(path), []).to_yaml() == config.to_yaml()


scalars = st.one_of(st.text(max_size=8), st.integers(), st.floats(), st.booleans(), st.none())
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner,
                                                                max_size=3),
    max_leaves=8,
)  # fmt: skip
parts = st.sampled_from(["study", "data", "model", "protector", "attack", "resources", "report"])
fields = st.sampled_from(
    ["name", "seed", "num_encoders", "source", "root", "private", "utility", "backbone",
     "cut_point", "width", "lambda1", "rounds", "suite", "group", "precision", "label_flip", "x"]
)  # fmt: skip


@often
@given(
    st.one_of(
        st.binary(max_size=200),
        st.dictionaries(parts, st.dictionaries(fields, trees, max_size=4), max_size=4).map(
            lambda tree: json.dumps(tree).encode()
        ),
    )
)
def test_recipes(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipe.yaml"
        path.write_bytes(content)
        try:
            load_config(str(path), [])
        except ConfigError as error:
            assert str(error)


@often
@given(
    st.lists(st.one_of(st.text(max_size=10), st.builds("{}={}".format, keys, values)), max_size=4)
)
def test_command_lines(arguments: list[str]) -> None:
    kept = [word for word in arguments if not word.startswith("-")]
    try:
        recipe, overrides = _split_words(_parser().parse_intermixed_args(kept).words)
        load_config(recipe, overrides)
    except ConfigError as error:
        assert str(error)


@often
@given(st.text(max_size=12))
def test_time_budgets(text: str) -> None:
    try:
        assert parse_duration(text) > 0
    except ConfigError as error:
        assert "--time-budget" in str(error)


@pytest.mark.parametrize(
    "read",
    [
        read_json,
        lambda path: list(Spool(path).read()),
        lambda path: Checkpoints(path.parent, "key").is_intact(path),
    ],
)
@often
@given(st.one_of(st.binary(max_size=200), trees.map(lambda tree: json.dumps([tree]).encode())))
def test_what_a_killed_process_left(read: Callable[[Path], Any], content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "key.000001.0123456789abcdef.pt"
        path.write_bytes(content)
        assert read(path) in (None, False) or isinstance(read(path), dict | list)
