"""Pittaluga's claims (P1 to P7), each as checks over the rows of their experiments."""

from analysis.checks import Check, Claim
from analysis.comparisons import clearly_lower, not_lower, ratio_above, single
from analysis.contrasts import SCORE, Cell


def pittaluga_claims() -> list[Claim]:
    """Of learned privacy-preserving encodings (Tables 1 and 2, section 4.2)."""

    def one(encoder: str, metric: str, role: str) -> Cell:
        return Cell("pittaluga-table1", encoder, metric, role)

    def two(encoder: str, task: str, metric: str = SCORE) -> Cell:
        return Cell("pittaluga-table2", encoder, metric, f"probe/{task}")

    def collapsed(style: str) -> Cell:
        return Cell("pittaluga-collapse", style, "collapsed")

    tasks = ("first", "second")
    hidden = (("inhibit-first", "first"), ("inhibit-second", "second"), ("promote-one", "first"))
    others = ("fifth", "sixth")
    return [
        Claim(
            "P1",
            "In the loop both losses look private",
            "Table 1, validation: GAN 51.1 and 50.1%, flip 52.1 and 53.6%",
            tuple(
                single(
                    f"private accuracy in the loop (selection), {loss}, {task} task, below 0.6",
                    one(f"{loss}-{task}", "selection", "in_loop_attribute"), 0.6, above=False,
                )
                for loss in ("gan", "flip")
                for task in tasks
            ),
        ),
        Claim(
            "P2",
            "After saturation the GAN-trained encoder leaks far more than the flip-trained one",
            "Table 1, test: GAN 84.3 and 84.5%, flip 65.3 and 73.5%",
            tuple(
                clearly_lower(
                    "private accuracy", ("flip", "GAN"),
                    [one(f"flip-{task}", SCORE, "private")],
                    [one(f"gan-{task}", SCORE, "private")], chance=0.5, note=f", {task} task",
                )
                for task in tasks
            ),
        ),
        Claim(
            "P3",
            "Encoders beat blur on the private task",
            "Table 2: Army Base .754 against .914 blurred, Airport .750 against .869",
            tuple(
                clearly_lower(
                    f"private accuracy of the {task} task", (name, "blur"),
                    [two(name, task)], [two("blur", task)], chance=0.5,
                )
                for name, task in hidden
            ),
        ),
        Claim(
            "P4",
            "A promoted task keeps its accuracy",
            "Table 2: Airport .916 of .967 on images, Army Base .956 of .983",
            tuple(
                not_lower(
                    f"promoted accuracy of the {task} task less that on images, above -0.06 (the "
                    f"paper's: {paper})",
                    two(encoder, task), two("identity", task), 0.06,
                )
                for encoder, task, paper in (
                    ("promote-one", "second", "-0.051"), ("promote-first", "first", "-0.027"),
                )
            ),
        ),
        Claim(
            "P5",
            "More promoted tasks, more general utility and somewhat more leakage",
            "Table 2: Arch .612 → .741, Hockey .821 → .918; Army Base .653 → .717 → .807",
            (
                clearly_lower(
                    "accuracy of tasks neither hidden nor promoted",
                    ("one promoted", "three promoted"),
                    [two("promote-one", task) for task in others],
                    [two("promote-three", task) for task in others], chance=0.5, leaks=False,
                ),
                clearly_lower(
                    "private accuracy", ("one promoted", "three promoted"),
                    [two("promote-one", "first")], [two("promote-three", "first")], chance=0.5,
                ),
            ),
        ),
        Claim(
            "P6",
            "Only per-location normalisation without bias avoids collapse",
            "Section 4.2: none: all outputs; batch: 75% at zero variance; per location with bias: "
            "90% below 0.5; without: none",
            (
                *(
                    single(
                        f"share of encoders that collapse, {style}, above a half",
                        collapsed(style), 0.5, above=True,
                    )
                    for style in ("none", "batch", "per-location-bias")
                ),
                Check(
                    "share of encoders that collapse, per location without bias, below a half",
                    (collapsed("per-location"),), lambda v: v[0], 0.5, above=False,
                ),
            ),
        ),
        Claim(
            "P7",
            "Attackers need far more steps on defended encoders than on images",
            "Section 4: 1 to 4.5 million steps against 20,000 to 90% on images",
            tuple(
                ratio_above(
                    # Not until it stopped: the rule has every attacker wait equally long.
                    f"steps to the attacker's best weights, {name} over images, above 2",
                    two(name, task, "best_step"), two("identity", task, "best_step"), 2.0,
                )
                for name, task in hidden[:2]
            ),
        ),
    ]  # fmt: skip
