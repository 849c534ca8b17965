"""Jobs: their identity depends on what changes a result, and on nothing else."""

from study.folder import StudyFolder
from study.jobs import JobFactory
from study.naming import run_name
from tests.study.study_fakes import CONTENT
from trainables.protectors.obfuscator import ObfuscatorConfig


def searched(bench, **changes):
    """The job of the default point with some values changed."""
    point = dict(bench.config.space.default_point())
    return bench.jobs.searched({**point, **{k.replace("__", "."): v for k, v in changes.items()}})


def test_the_same_work_has_the_same_key_however_it_is_run(make_bench) -> None:
    first = make_bench()
    for words in (
        ["resources.cpus_per_protect=2"],
        ["study.num_encoders=50"],
        ["study.name=other"],
        ["attack.suite=[decoder]"],
        ["report.reconstructions=0"],
    ):
        other = make_bench(*words)
        assert searched(other).key == searched(first).key
        assert searched(other).config["seed"] == searched(first).config["seed"]


def test_whatever_changes_a_result_changes_the_key_and_the_seed(make_bench) -> None:
    first = searched(make_bench())
    for words in (["study.seed=1"], ["data.seed=1"], ["protector.rounds=301"], ["model.width=0.5"]):
        other = searched(make_bench(*words))
        assert other.key != first.key
        assert other.config["seed"] != first.config["seed"]


def test_how_many_pictures_are_kept_changes_no_trial(make_bench) -> None:
    jobs = []
    for count in (8, 0):
        bench = make_bench(f"report.reconstructions={count}")
        protect = searched(bench)
        jobs.append((protect, bench.jobs.attacks(protect, has_in_loop=True)[0]))
    for first, second in zip(*jobs, strict=True):
        assert [job.config["pictures"] for job in (first, second)] == [8, 0]
        assert first.key == second.key


def test_seeds_of_zero_and_one_differ(make_bench) -> None:
    zero, one = (searched(make_bench(f"study.seed={seed}")) for seed in (0, 1))
    assert zero.config["seed"] != one.config["seed"]


def test_attack_keys_name_the_encoder_and_depend_on_the_attackers(make_bench) -> None:
    bench = make_bench("attack.group=2", "attack.seeds=2")
    protect = searched(bench)
    jobs = bench.jobs.attacks(protect, has_in_loop=True)
    assert [job.attackers for job in jobs] == [("decoder", "decoder_strong"), ("attribute",)] * 2
    assert [job.seed for job in jobs] == [0, 0, 1, 1]
    assert [job.config["in_loop"] for job in jobs] == [True, False, False, False]
    assert all(job.key.startswith(protect.encoder_id + "-") for job in jobs)
    assert len({job.key for job in jobs}) == 4
    assert jobs[0].config["seed"] == jobs[1].config["seed"] != jobs[2].config["seed"]


def test_code_width_is_no_second_name_for_an_encoder_without_a_code(make_bench) -> None:
    bench = make_bench()
    narrow = bench.jobs.searched({**bench.config.space.default_point(), "model.code_width": 32})
    assert narrow.key == searched(bench).key


def test_the_undefended_encoder_is_trained_as_the_defended_ones(make_bench) -> None:
    bench = make_bench("protector.rounds=123", "protector.batch_size=32")
    roles = [(role, job.config["model"]["cut_point"]) for role, job in bench.jobs.baselines()]
    assert roles == [("labels", "conv3"), ("undefended", "conv3"), ("undefended", "conv4")]
    settings = bench.jobs.baselines()[1][1].config["protector"]
    assert settings["name"] == "none"
    assert (settings["rounds"], settings["batch_size"]) == (123, 32)
    assert (settings["encoder_lr"], settings["encoder_lr_decay"]) == (3e-3, 0.01)


def test_a_reference_depends_on_data_attacker_and_seed_alone(make_bench) -> None:
    bench = make_bench()
    key = bench.jobs.reference_key("constant", "decoder", 0)
    same = make_bench("study.seed=9", "model.cut_point=conv1", "attack.group=1").jobs
    assert same.reference_key("constant", "decoder", 0) == key
    others = {
        bench.jobs.reference_key("identity", "decoder", 0),
        bench.jobs.reference_key("constant", "decoder", 1),
        bench.jobs.reference_key("constant", "attribute", 0),
        make_bench("attack.patience=9").jobs.reference_key("constant", "decoder", 0),
        JobFactory(bench.config, bench.folder, {**CONTENT, "content_hash": "f" * 64}).reference_key(
            "constant", "decoder", 0
        ),
    }
    assert len(others) == 5
    assert key not in others


def test_only_missing_references_are_measured(make_bench) -> None:
    jobs = make_bench("attack.group=3").jobs
    missing = {("constant", "attribute", 0)}
    missing |= {("identity", "decoder", 0), ("identity", "attribute", 0)}
    made = jobs.references(missing)
    assert [(job.encoder_id, job.attackers) for job in made] == [
        ("constant", ("attribute",)),
        ("identity", ("decoder", "attribute")),
    ]


def test_baselines_without_a_cut_are_trained_once_as_the_first_protector(make_bench) -> None:
    words = ("protector.rounds=123", "protector.encoder_lr=0.002", "data.image_size=48")
    listed = "study.baselines=[noise, none, labels, identity, blur]"
    bench = make_bench(*words, listed, "protector.name=[reconstruction, obfuscator]")
    jobs = bench.jobs.baselines()
    assert [(role, job.label) for role, job in jobs] == [
        ("labels", "labels"), ("undefended", "none conv3"), ("undefended", "none conv4"),
        ("baseline", "noise σ=0.3"), ("baseline", "identity"), ("baseline", "blur kernel=0.54"),
    ]  # fmt: skip
    for _, job in jobs[3:]:
        settings = job.config["protector"]
        assert (settings["rounds"], settings["encoder_lr"]) == (123, 0.002)
        assert settings["encoder_lr_decay"] == 0.01
        assert job.config["model"]["cut_point"] == "fc"
    # Wherever the others are cut, these are the same.
    moved = make_bench(*words, listed, "model.cut_point=conv1").jobs.baselines()
    assert [job.key for _, job in moved[-3:]] == [job.key for _, job in jobs[-3:]]


def test_without_a_cut_neither_place_nor_width_of_the_code_names_an_encoder(make_bench) -> None:
    jobs = [
        make_bench("protector.name=identity", word).jobs
        for word in (
            "model.cut_point=conv3",
            "model.cut_point=[conv3, conv4]",
            "model.code_width=9",
        )
    ]
    keys = {one.searched({}).key for one in jobs}
    assert len(keys) == 1


def test_references_have_the_backbones_own_cut(make_bench) -> None:
    words = ("model.backbone=vgg16", "model.cut_point=[pool1, pool2]")
    (job, *_) = make_bench(*words).jobs.references({("constant", "decoder", 0)})
    assert job.config["model"]["cut_point"] == "pool2"


def test_names_are_short_and_say_what_defends() -> None:
    protector = {"name": "reconstruction", "lambda1": 1.234, "lambda2": 0.0, "mu1": 0.01}
    assert run_name({"cut_point": "conv4"}, protector) == "reconstruction conv4 λ1=1.2 μ1=0.01"
    assert run_name({"cut_point": "conv4"}, {"name": "labels"}) == "labels"
    flip = {"name": "label_flip", "alpha": 2**-4, "privacy_loss": "flip"}
    assert run_name({"cut_point": "code"}, flip) == "label_flip code α=0.062"
    gan = {**flip, "privacy_loss": "gan", "normalisation": "batch", "alpha": 0.0}
    assert run_name({"cut_point": "code"}, gan) == "label_flip code gan batch"
    half = ObfuscatorConfig(lambda1=2.0, defend_attributes=False).model_dump()
    assert run_name({"cut_point": "pool2"}, half) == "obfuscator pool2 λ2=1"
    assert run_name({"cut_point": "pool2"}, {"name": "noise", "sigma": 0.5}) == "noise σ=0.5"
    assert run_name({"cut_point": "pool2"}, {"name": "identity"}) == "identity"


def test_another_precision_is_another_encoder_and_attack_and_full_is_as_before(
    make_config, tmp_path
):
    keys = {}
    for precision in ("fp32", "bf16"):
        config = make_config(f"resources.precision={precision}")
        jobs = JobFactory(config, StudyFolder(tmp_path, "small"), CONTENT)
        protect = jobs.searched(config.space.default_point())
        attack = jobs.attacks(protect, has_in_loop=True)[0]
        reference = jobs.reference_key("identity", "decoder", 0)
        keys[precision] = protect.key, attack.key.split("-")[1], reference
        given = {job.config.get("precision", "fp32") for job in (protect, attack)}
        assert given == {precision}
    assert all(full != lower for full, lower in zip(*keys.values(), strict=True))
