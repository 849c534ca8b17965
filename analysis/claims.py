"""The papers' claims (methods, section 6), each as checks over the rows of their experiments.

Every figure is of the test split, of attackers retrained until they saturate, unless a check says
that it is of the loop. Margins stand in the words of each check.
"""

from analysis.checks import (
    Check,
    Claim,
    falls,
    keeps_less,
    keeps_more,
    lower,
    mean_lower,
    not_lower,
    ratio_above,
    single,
)
from analysis.contrasts import Cell

FACE, SCORE, MCC = "face_similarity", "test", "utility/mean_mcc"
LAMBDA2 = ("0", "1", "2", "3", "4", "5", "10")
CUTS = ("conv1", "conv2", "conv3", "conv4", "avgpool", "fc")
RECONSTRUCTORS = ("mirror", "urec1", "urec2", "resrec")


def claims() -> list[Claim]:
    """All claims, in the order of the methods page."""
    return [*_xiao(), *_pittaluga(), *_deepobfuscator()]


def _xiao() -> list[Claim]:
    def one(encoder: str, metric: str, role: str = "") -> Cell:
        return Cell("xiao-table1", encoder, metric, role)

    def two(value: str, metric: str, role: str = "") -> Cell:
        return Cell("xiao-table2", f"lambda2-{value}", metric, role)

    def three(cut: str, defence: str, metric: str, role: str = "") -> Cell:
        return Cell("xiao-table3", f"{cut}-{defence}", metric, role)

    def pair(what: str, metric: str, role: str) -> Check:
        return lower(what, one("defended", metric, role), one("undefended", metric, role))

    def over(what: str, metric: str, role: str = "") -> Check:
        return falls(f"{what} falls with λ2", [two(value, metric, role) for value in LAMBDA2])

    both = ("undefended", "defended")
    return [
        Claim(
            "X1",
            "λ1 > 0 lowers face and feature similarity at a small cost in MCC",
            "Table 1, rows 1 and 2: .551 → .515, .835 → .574, MCC .641 → .612",
            (
                pair("face similarity, defended less undefended, weak attacker", FACE, "weak"),
                pair("feature similarity, defended less undefended", SCORE, "feature"),
                not_lower(
                    "mean MCC, defended less undefended, above -0.05",
                    one("defended", MCC), one("undefended", MCC), 0.05,
                ),
            ),
        ),
        Claim(
            "X2",
            "The strong attacker leaks at least as much as the weak one, and the defence holds "
            "against both",
            "Table 1, rows 1 to 4: .551, .515 (weak), .585, .513 (strong)",
            (
                *(
                    not_lower(
                        f"face similarity of {name}, strong less weak, above -0.01",
                        one(name, FACE, "strong"), one(name, FACE, "weak"), 0.01,
                    )
                    for name in both
                ),
                pair("face similarity, defended less undefended, weak attacker", FACE, "weak"),
                pair("face similarity, defended less undefended, strong attacker", FACE, "strong"),
            ),
        ),
        Claim(
            "X3",
            "More data helps the attacker",
            "Table 1, rows 1 and 5: .551 → .594; 2 and 6: .515 → .541; features .835 → .864, "
            ".574 → .633",
            tuple(
                lower(
                    f"{what} of {name}, with half the public images less with all of them",
                    one(name, metric, role), one(name, metric, f"{role}_more"),
                )
                for name in both
                for what, metric, role in (
                    ("face similarity", FACE, "weak"), ("feature similarity", SCORE, "feature"),
                )
            ),
        ),
        Claim(
            "X4",
            "More data for both lowers neither MCC",
            "Table 1, rows 1 and 7: .641 → .651; 2 and 8: .612 → .630",
            tuple(
                not_lower(
                    f"mean MCC of {name}, with all images less with half, above -0.01",
                    one(f"{name}-more", MCC), one(name, MCC), 0.01,
                )
                for name in both
            ),
        ),
        Claim(
            "X5",
            "An encoder for one attribute leaks less than one for all",
            "Table 1, rows 1 and 9: .551 → .460; 2 and 10: .515 → .424; features .835 → .494, "
            ".574 → .489",
            tuple(
                lower(
                    f"{what} of {name}, for Smiling less for all attributes",
                    one(f"{name}-smiling", metric, role), one(name, metric, role),
                )
                for name in both
                for what, metric, role in (
                    ("face similarity", FACE, "weak"), ("feature similarity", SCORE, "feature"),
                )
            ),
        ),
        Claim(
            "X6",
            "MCC, face and feature similarity, SSIM and PSNR fall as λ2 grows; at 10 what is "
            "rebuilt is the mean face",
            "Table 2: MCC .631 → .000, face .631 → .294, feature .862 → .374, SSIM .300 → .158, "
            "PSNR 15.4 → 12.9",
            (
                over("mean MCC", MCC),
                over("face similarity", FACE, "weak"),
                over("feature similarity", SCORE, "feature"),
                over("SSIM", "ssim", "weak"),
                over("PSNR", "psnr", "weak"),
                lower(
                    "face similarity, λ2 = 10 less a constant code's, below 0.05",
                    two("10", FACE, "weak"), Cell("xiao-table2", "constant", FACE, "weak"), -0.05,
                ),
            ),
        ),
        Claim(
            "X7",
            "Without a defence face similarity falls with depth",
            "Table 3: .98, .95, .74, .64, .55, .54",
            (
                falls(
                    "face similarity falls with depth, undefended",
                    [three(cut, "undefended", FACE, "weak") for cut in CUTS],
                ),
                lower(
                    "face similarity, fc less conv1, undefended",
                    three("fc", "undefended", FACE, "weak"),
                    three("conv1", "undefended", FACE, "weak"),
                ),
            ),
        ),
        Claim(
            "X8",
            "With the defence face similarity and the LDA score are lower at every depth",
            "Table 3: face .36, .48, .49, .52, .50, .51; LDA .28, .39, .34, .35, .42, .67 against "
            "1.96, 1.77, .78, .54, .52, .39",
            tuple(
                lower(
                    f"{what} at {cut}, defended less undefended",
                    three(cut, "defended", metric, role), three(cut, "undefended", metric, role),
                )
                for cut in CUTS
                for what, metric, role in (
                    ("face similarity", FACE, "weak"), ("LDA score", "codes/lda_score", ""),
                )
            ),
        ),
    ]  # fmt: skip


def _pittaluga() -> list[Claim]:
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
                lower(
                    f"private accuracy, flip less GAN, {task} task",
                    one(f"flip-{task}", SCORE, "private"), one(f"gan-{task}", SCORE, "private"),
                )
                for task in tasks
            ),
        ),
        Claim(
            "P3",
            "Encoders beat blur on the private task",
            "Table 2: Army Base .754 against .914 blurred, Airport .750 against .869",
            tuple(
                lower(
                    f"private accuracy of the {task} task, {name} less blur",
                    two(name, task), two("blur", task),
                )
                for name, task in hidden
            ),
        ),
        Claim(
            "P4",
            "A promoted task keeps its accuracy",
            "Table 2: Airport .916 of .967 on images, Army Base .956 of .983",
            (
                not_lower(
                    "promoted accuracy less that on images, above -0.05",
                    two("promote-one", "second"), two("identity", "second"), 0.05,
                ),
            ),
        ),
        Claim(
            "P5",
            "More promoted tasks, more general utility and somewhat more leakage",
            "Table 2: Airfield .836 → .897, Amphitheater .785 → .862; Army Base .653 → .717 → .807",
            (
                mean_lower(
                    "accuracy of tasks neither hidden nor promoted, one promoted less three",
                    [two("promote-one", task) for task in others],
                    [two("promote-three", task) for task in others],
                ),
                lower(
                    "private accuracy, one promoted less three",
                    two("promote-one", "first"), two("promote-three", "first"),
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
                    f"steps to saturation on {name} over those on images, above 1",
                    two(name, task, "steps"), two("identity", task, "steps"), 1.0,
                )
                for name, task in hidden[:2]
            ),
        ),
    ]  # fmt: skip


def _deepobfuscator() -> list[Claim]:
    def cell(recipe: str, encoder: str, metric: str, role: str = "") -> Cell:
        return Cell(f"deepobfuscator-{recipe}", encoder, metric, role)

    def intended(encoder: str, task: str) -> Cell:
        return cell("figure7", encoder, f"utility/balanced_accuracy/${task}")

    def private(encoder: str, task: str = "gender") -> Cell:
        return cell("figure7", encoder, SCORE, f"probe/{task}")

    ours, names = "defended", {"ms_ssim": "MS-SSIM", "psnr": "PSNR"}
    undefended = {"a": "smile", "b": "cheekbone", "c": "both"}
    return [
        Claim(
            "D1",
            "MS-SSIM and PSNR fall sharply against no adversary and against noise",
            "Table 4: MS-SSIM .318 against .946 and .726, PSNR 6.3 dB against 27.8 and 17.0",
            tuple(
                lower(
                    f"{names[metric]}, defended less {other}",
                    cell("table4", ours, metric, "mirror"), cell("table4", other, metric, "mirror"),
                )
                for metric in names
                for other in ("undefended", "noise")
            ),
        ),
        Claim(
            "D2",
            "Private accuracy falls towards guessing",
            "Figure 7(a): gender 97.4 → 58.9%, the majority's share 58.3%",
            tuple(
                keeps_less(
                    f"of the private (balanced) accuracy above a half, what is left in ({name}), "
                    "below a half",
                    private(name), private(f"undefended-{plain}"), 0.5, 0.5,
                )
                for name, plain in undefended.items()
            ),
        ),
        Claim(
            "D3",
            "Intended accuracy falls by about two points",
            "Figure 7(a): smile falls by 1.15 points; with noise by 5.36",
            (
                not_lower(
                    "smile's balanced accuracy, (a) less undefended, above -0.04",
                    intended("a", "smile"), intended("undefended-smile", "smile"), 0.04,
                ),
                not_lower(
                    "cheekbone's balanced accuracy, (b) less undefended, above -0.04",
                    intended("b", "cheekbone"), intended("undefended-cheekbone", "cheekbone"), 0.04,
                ),
            ),
        ),
        Claim(
            "D4",
            "Defending against one attack does not defend against the other",
            "Section 4.2: reconstruction defended alone, gender still 93.7%",
            (
                keeps_more(
                    "of the private accuracy above a half, what is left where reconstruction alone "
                    "is defended, above a half",
                    cell("one-defence", "reconstruction-alone", SCORE, "private"),
                    cell("one-defence", "undefended", SCORE, "private"), 0.5, 0.5,
                ),
                keeps_more(
                    "of the MS-SSIM, what is left where the attribute alone is defended, above a "
                    "half",
                    cell("one-defence", "attribute-alone", "ms_ssim", "mirror"),
                    cell("one-defence", "undefended", "ms_ssim", "mirror"), 0.0, 0.5,
                ),
            ),
        ),
        Claim(
            "D5",
            "The result holds across architectures of the reconstructor",
            "Table 3: mirror .318, URec#1 .312, URec#2 .310, ResRec .317",
            tuple(
                lower(
                    f"MS-SSIM of {role}, defended less undefended",
                    cell("table3", ours, "ms_ssim", role),
                    cell("table3", "undefended", "ms_ssim", role),
                )
                for role in RECONSTRUCTORS
            ),
        ),
        Claim(
            "D6",
            "More intended tasks raise private accuracy; more private ones lower the intended",
            "Figure 7: gender 58.9 (a), 59.8 (b) → 64.0% (c); smile 91.5 (a) → 90.9% (d)",
            (
                lower("private accuracy, (a) less (c)", private("a"), private("c")),
                lower("private accuracy, (d) less (f)", private("d"), private("f")),
                lower("smile, (d) less (a)", intended("d", "smile"), intended("a", "smile")),
                lower(
                    "cheekbone, (e) less (b)",
                    intended("e", "cheekbone"), intended("b", "cheekbone"),
                ),
            ),
        ),
    ]  # fmt: skip
