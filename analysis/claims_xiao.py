"""Xiao's claims (X1 to X8), each as checks over the rows of their experiments."""

from analysis.checks import Check, Claim
from analysis.comparisons import (
    clearly_lower,
    clearly_lower_in_decibels,
    falls,
    keeps_less_than,
    not_lower,
)
from analysis.contrasts import FACE, MCC, SCORE, Cell
from analysis.paper_tables import CUTS, LAMBDA2, paper_figures

CHANCE_LDA = "codes/chance_lda_score"
"""The score of noise: with two or three images of each person it is about 1."""


def xiao_claims() -> list[Claim]:
    """Of adversarial reconstruction learning (Tables 1 to 3)."""

    def one(encoder: str, metric: str, role: str = "") -> Cell:
        return Cell("xiao-table1", encoder, metric, role)

    def two(value: str, metric: str, role: str = "") -> Cell:
        return Cell("xiao-table2", f"lambda2-{value}", metric, role)

    def three(cut: str, defence: str, metric: str, role: str = "") -> Cell:
        return Cell("xiao-table3", f"{cut}-{defence}", metric, role)

    # What an attacker gets of a constant code: in the paper at λ2 = 10, where its MCC is 0 and what
    # is rebuilt tends "to be a mean face" (ablation study of the perceptual distance).
    guessed = {
        metric: paper_figures()[two("10", metric, role)]
        for metric, role in ((FACE, "weak"), (SCORE, "feature"), ("ssim", "weak"))
    }

    def pair(what: str, metric: str, role: str, note: str = "") -> Check:
        return clearly_lower(
            what,
            ("defended", "undefended"),
            [one("defended", metric, role)],
            [one("undefended", metric, role)],
            chance=guessed[metric],
            chance_here=one("constant", metric, role),
            note=note,
        )

    def over(what: str, metric: str, role: str = "") -> Check:
        return falls(f"{what} falls with λ2", [two(value, metric, role) for value in LAMBDA2])

    ends = ("λ2 = 10", "λ2 = 0")

    def across(what: str, metric: str, role: str) -> Check:
        return clearly_lower(
            what,
            ends,
            [two("10", metric, role)],
            [two("0", metric, role)],
            chance=guessed[metric],
            chance_here=Cell("xiao-table2", "constant", metric, role),
        )

    both = ("undefended", "defended")
    return [
        Claim(
            "X1",
            "λ1 > 0 lowers face and feature similarity at a small cost in MCC",
            "Table 1, rows 1 and 2: .551 → .515, .835 → .574, MCC .641 → .612",
            (
                pair("face similarity", FACE, "weak", ", weak attacker"),
                pair("feature similarity", SCORE, "feature"),
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
                pair("face similarity", FACE, "weak", ", weak attacker"),
                pair("face similarity", FACE, "strong", ", strong attacker"),
            ),
        ),
        Claim(
            "X3",
            "More data helps the attacker",
            "Table 1, rows 1 and 5: .551 → .594; 2 and 6: .515 → .541; features .835 → .864, "
            ".574 → .633",
            tuple(
                clearly_lower(
                    f"{what} of {name}", ("with half the public images", "that with all of them"),
                    [one(name, metric, role)], [one(name, metric, f"{role}_more")],
                    chance=guessed[metric], chance_here=one("constant", metric, f"{role}_more"),
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
            "Table 1, rows 3 and 9: .585 → .460; 4 and 10: .513 → .424; features .835 → .494, "
            ".574 → .489",
            tuple(
                clearly_lower(
                    f"{what} of {name}", ("for Smiling", "that for all attributes"),
                    [one(f"{name}-smiling", metric, role)], [one(name, metric, role)],
                    chance=guessed[metric], chance_here=one("constant", metric, role),
                )
                for name in both
                for what, metric, role in (
                    ("face similarity", FACE, "strong"), ("feature similarity", SCORE, "feature"),
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
                clearly_lower(
                    "mean MCC", ends, [two("10", MCC)], [two("0", MCC)], leaks=False
                ),
                across("feature similarity", SCORE, "feature"),
                across("SSIM", "ssim", "weak"),
                clearly_lower_in_decibels(
                    "PSNR", ends, two("10", "psnr", "weak"), two("0", "psnr", "weak")
                ),
                keeps_less_than(
                    "of the face similarity above a constant code's at λ2 = 0, what is left at 10, "
                    "below a quarter",
                    two("10", FACE, "weak"), two("0", FACE, "weak"),
                    Cell("xiao-table2", "constant", FACE, "weak"), 0.25,
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
                clearly_lower(
                    "face similarity", ("fc", "conv1"),
                    [three("fc", "undefended", FACE, "weak")],
                    [three("conv1", "undefended", FACE, "weak")], chance=guessed[FACE],
                    chance_here=Cell("xiao-table3", "constant", FACE, "weak"), note=", undefended",
                ),
            ),
        ),
        Claim(
            "X8",
            "With the defence face similarity is lower at every depth, the LDA score at all but fc",
            "Table 3: face .36, .48, .49, .52, .50, .51 against .98, .95, .74, .64, .55, .54; LDA "
            ".28, .39, .34, .35, .42 against 1.96, 1.77, .78, .54, .52",
            tuple(
                clearly_lower(
                    f"{what} at {cut}", ("defended", "undefended"),
                    [three(cut, "defended", metric, role)],
                    [three(cut, "undefended", metric, role)],
                    chance=chance, chance_here=guess or three(cut, "undefended", CHANCE_LDA),
                )
                for cut in CUTS
                for what, metric, role, chance, guess in (
                    ("face similarity", FACE, "weak", guessed[FACE],
                     Cell("xiao-table3", "constant", FACE, "weak")),
                    # What the paper's would be of noise is not known.
                    ("LDA score", "codes/lda_score", "", 0.0, None),
                )
                # The paper's own LDA score at fc is higher with the defence, once it is computed as
                # at the other cuts; its text says "generally".
                if (what, cut) != ("LDA score", "fc")
            ),
        ),
    ]  # fmt: skip
