"""The saturation rule on curves worked out by hand."""

import math

import pytest

from trainables.saturation import SaturationConfig, SaturationMonitor

CONFIG = SaturationConfig(
    lr=0.1, lr_decay=0.1, min_delta=0.01, patience=2, min_steps=0, max_steps=1000
)


def follow(scores, config=CONFIG):
    monitor = SaturationMonitor(config)
    verdicts = [monitor.update(10 * (i + 1), score)[1] for i, score in enumerate(scores)]
    return monitor, verdicts


def test_decays_once_then_stops_saturated():
    monitor, verdicts = follow([0.1, 0.2, 0.2, 0.2, 0.3, 0.3, 0.3])
    assert verdicts == ["train", "train", "train", "decay", "train", "train", "stop"]
    assert monitor.saturated
    assert (monitor.best, monitor.best_step) == (0.3, 50)
    assert [rate for _, _, rate in monitor.curve] == pytest.approx([0.1] * 4 + [0.01] * 3)


def test_budget_leaves_it_unsaturated():
    config = CONFIG.model_copy(update={"max_steps": 30})
    monitor, verdicts = follow([0.1, 0.2, 0.3], config)
    assert verdicts[-1] == "stop"
    assert not monitor.saturated


def test_budget_reached_at_the_decay_is_unsaturated():
    config = CONFIG.model_copy(update={"max_steps": 30})
    monitor, verdicts = follow([0.2, 0.2, 0.2], config)
    assert verdicts[-1] == "stop"
    assert not monitor.saturated


def test_slow_steady_climb_is_improvement():
    # 0.006 an evaluation: below min_delta each, above it over two.
    monitor, verdicts = follow([0.1 + 0.006 * i for i in range(12)])
    assert set(verdicts) == {"train"}
    assert not monitor.saturated


def test_creeping_below_min_delta_saturates_but_keeps_the_best():
    monitor, verdicts = follow([0.1 + 0.001 * i for i in range(5)])
    assert verdicts.count("decay") == 1
    assert verdicts[-1] == "stop"
    assert monitor.best == pytest.approx(0.1 + 0.001 * 4)


def test_second_phase_must_beat_the_best_not_the_last():
    # After the decay a return to 0.5 is no improvement on the best, 0.505.
    monitor, verdicts = follow([0.5, 0.505, 0.4, 0.5, 0.5])
    assert verdicts == ["train", "train", "decay", "train", "stop"]
    assert monitor.best_step == 20


def test_scores_below_zero_and_not_finite():
    monitor, _ = follow([-0.5, -0.2])
    assert monitor.best == -0.2
    with pytest.raises(ValueError, match="step 30"):
        monitor.update(30, math.nan)


def follow_both(pairs, config=CONFIG):
    monitor = SaturationMonitor(config)
    verdicts = [
        monitor.update(10 * (i + 1), score, others=[other])[1]
        for i, (score, other) in enumerate(pairs)
    ]
    return monitor, verdicts


def test_who_improves_by_another_measure_has_not_saturated():
    # The score stands still for five evaluations, then rises.
    scores = [0.1, 0.1, 0.1, 0.1, 0.1, 0.3]
    assert "decay" in follow(scores)[1]
    monitor, verdicts = follow_both([(s, 0.02 * i) for i, s in enumerate(scores)])
    assert verdicts == ["train"] * 6
    assert (monitor.best, monitor.best_step) == (0.3, 60)


def test_the_best_weights_are_the_score_s_alone():
    monitor, _ = follow_both([(0.3, 0.1), (0.2, 0.2), (0.1, 0.3)])
    assert (monitor.best, monitor.best_step) == (0.3, 10)


def test_another_measure_starts_anew_at_the_lower_rate():
    # The best weights, that the second phase starts from, may be worse by it than the last ones.
    pairs = [(0.3, 0.5), (0.2, 0.9), (0.2, 0.9), (0.2, 0.9), (0.3, 0.5), (0.3, 0.6), (0.3, 0.6)]
    monitor, verdicts = follow_both([*pairs, (0.3, 0.6)])
    assert verdicts == ["train"] * 3 + ["decay"] + ["train"] * 3 + ["stop"]
    assert monitor.saturated


def test_state_round_trip_goes_on_the_same():
    scores = [0.1, 0.2, 0.2, 0.2, 0.25, 0.25, 0.25]
    whole, verdicts = follow(scores)
    first, _ = follow(scores[:3])
    second = SaturationMonitor(CONFIG)
    second.load_state_dict(first.state_dict())
    rest = [second.update(10 * (i + 4), s)[1] for i, s in enumerate(scores[3:])]
    assert rest == verdicts[3:]
    assert second.state_dict() == whole.state_dict()
    both, _ = follow_both([(0.1, 0.2), (0.1, 0.3)])
    third = SaturationMonitor(CONFIG)
    third.load_state_dict(both.state_dict())
    assert third.others == [0.3]


def slow_starter(step):
    """Chance, with noise, for 900 steps; then it learns, as Pittaluga's private classifiers do."""
    noise = 0.002 * math.sin(step)
    return 0.5 + noise + (0.0 if step <= 900 else min(0.4, 0.001 * (step - 900)))


def run_to_the_end(config):
    monitor = SaturationMonitor(config)
    for step in range(config.evaluate_every, config.max_steps + 1, config.evaluate_every):
        if monitor.update(step, slow_starter(step))[1] == "stop":
            break
    return monitor


def test_a_slow_starter_is_waited_for():
    monitor = run_to_the_end(SaturationConfig())
    assert monitor.saturated
    assert monitor.best == pytest.approx(0.9, abs=0.003)


def test_a_careless_rule_would_cut_it_off_and_call_it_saturated():
    monitor = run_to_the_end(SaturationConfig(min_steps=0, patience=4))
    assert monitor.saturated
    assert monitor.best < 0.51


def test_the_first_phase_lasts_as_long_as_the_rule_says():
    config = SaturationConfig(min_steps=500, patience=2)
    monitor = SaturationMonitor(config)
    verdicts = [monitor.update(step, 0.5)[1] for step in range(100, 800, 100)]
    assert verdicts == ["train", "train", "train", "train", "decay", "train", "stop"]


def test_a_rule_under_which_nobody_saturates_is_refused():
    with pytest.raises(ValueError, match="min_steps: at most max_steps \\(500\\), got 600"):
        SaturationConfig(min_steps=600, max_steps=500)


def test_a_plateau_at_chance_is_given_more_steps():
    config = CONFIG.model_copy(update={"min_steps": 20, "chance_patience": 3})
    monitor = SaturationMonitor(config)
    asked = []

    def at_chance():
        asked.append(len(monitor.curve))
        return True

    verdicts = [monitor.update(10 * i, 0.5, at_chance)[1] for i in range(1, 10)]
    # Still since step 30; asked then and again after two more evaluations; at 60 it is over.
    assert asked == [3, 5]
    assert verdicts == ["train"] * 6 + ["decay", "train", "stop"]
    assert monitor.saturated


def test_one_that_has_learned_something_is_not_kept():
    config = CONFIG.model_copy(update={"min_steps": 20, "chance_patience": 3})
    monitor = SaturationMonitor(config)
    verdicts = [monitor.update(10 * i, 0.5, lambda: False)[1] for i in range(1, 6)]
    assert verdicts == ["train", "train", "decay", "train", "stop"]


def test_a_budget_that_ends_at_chance_leaves_it_unsaturated():
    config = CONFIG.model_copy(update={"min_steps": 20, "max_steps": 50, "chance_patience": 9})
    monitor = SaturationMonitor(config)
    verdicts = [monitor.update(10 * i, 0.5, lambda: True)[1] for i in range(1, 6)]
    assert verdicts == ["train"] * 4 + ["stop"]
    assert not monitor.saturated
