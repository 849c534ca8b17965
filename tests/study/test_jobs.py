"""Jobs: their identity depends on what changes a result, and on nothing else."""

from study.jobs import JobFactory, run_name
from tests.study.study_fakes import CONTENT


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


def test_names_are_short_and_say_what_defends() -> None:
    protector = {"name": "reconstruction", "lambda1": 1.234, "lambda2": 0.0, "mu1": 0.01}
    assert run_name({"cut_point": "conv4"}, protector) == "reconstruction conv4 λ1=1.2 μ1=0.01"
    assert run_name({"cut_point": "conv4"}, {"name": "labels"}) == "labels"
