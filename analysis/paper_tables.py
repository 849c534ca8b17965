"""The papers' tables, and where each of their figures stands in our rows.

Figures are the papers' own (methods, section 5); shares of one where a paper prints per cent.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.contrasts import Cell

LAMBDA2 = ("0", "1", "2", "3", "4", "5", "10")
NOTHING = "a constant code"
"""An encoder that sends nothing, which no paper's table has: what is rebuilt of it is a guess."""
CUTS = ("conv1", "conv2", "conv3", "conv4", "avgpool", "fc")


@dataclass(frozen=True)
class Entry:
    """One figure of a paper's table.

    Attributes:
        cell: The same figure in our rows.
        paper: The paper's; None where it prints none.
    """

    cell: Cell
    paper: float | None = None


@dataclass(frozen=True)
class PaperTable:
    """A paper's table or figure.

    Attributes:
        recipe: The experiment that makes ours.
        title: The paper's name of it.
        row_head: What its rows are.
        columns: What its columns are.
        rows: Each row's label and entries, one per column.
    """

    recipe: str
    title: str
    row_head: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Entry, ...]], ...]


def paper_tables() -> list[PaperTable]:
    """All of them, paper by paper."""
    return [
        _xiao_table1(), _xiao_table2(), _xiao_table3(),
        _pittaluga_table1(), _pittaluga_table2(), _collapse(),
        _deep_table3(), _deep_table4(), _deep_figure7(), _one_defence(),
    ]  # fmt: skip


@functools.cache
def paper_figures() -> Mapping[Cell, float]:
    """Every figure that a paper prints, by where it stands in our rows."""
    return {
        entry.cell: entry.paper
        for table in paper_tables()
        for _, entries in table.rows
        for entry in entries
        if entry.paper is not None
    }


Figures = Sequence[float | None]
_XIAO = ("MCC", "face sim.", "feature sim.", "SSIM", "PSNR (dB)")


def _xiao_row(
    recipe: str, encoder: str, weak: str, feature: str, paper: Figures
) -> tuple[Entry, ...]:
    cells = (
        Cell(recipe, encoder, "utility/mean_mcc"),
        Cell(recipe, encoder, "face_similarity", weak),
        Cell(recipe, encoder, "test", feature),
        Cell(recipe, encoder, "ssim", weak),
        Cell(recipe, encoder, "psnr", weak),
    )
    return tuple(Entry(cell, figure) for cell, figure in zip(cells, paper, strict=True))


def _xiao_table1() -> PaperTable:
    plain = (
        ("1 λ1 = 0, weak", "undefended", "weak", "feature", (.641, .551, .835, .231, 13.738)),
        ("2 λ1 > 0, weak", "defended", "weak", "feature", (.612, .515, .574, .221, 13.423)),
        ("3 λ1 = 0, strong", "undefended", "strong", "feature", (.641, .585, .835, .240, 14.065)),
        ("4 λ1 > 0, strong", "defended", "strong", "feature", (.612, .513, .574, .277, 13.803)),
        ("5 λ1 = 0, more data for the attacker", "undefended", "weak_more", "feature_more",
         (.641, .594, .864, .250, 14.132)),
        ("6 λ1 > 0, more data for the attacker", "defended", "weak_more", "feature_more",
         (.612, .541, .633, .222, 13.703)),
        ("7 λ1 = 0, more data for both", "undefended-more", "weak", "feature",
         (.651, .579, .834, .263, 14.432)),
        ("8 λ1 > 0, more data for both", "defended-more", "weak", "feature",
         (.630, .550, .591, .231, 13.334)),
        ("9 λ1 = 0, Smiling only, strong", "undefended-smiling", "strong", "feature",
         (.851, .460, .494, .204, 13.214)),
        ("10 λ1 > 0, Smiling only, strong", "defended-smiling", "strong", "feature",
         (.862, .424, .489, .189, 12.958)),
        (NOTHING, "constant", "weak", "feature", (None,) * 5),
    )  # fmt: skip
    rows = tuple(
        (label, _xiao_row("xiao-table1", encoder, weak, feature, paper))
        for label, encoder, weak, feature, paper in plain
    )
    return PaperTable("xiao-table1", "Xiao, Table 1", "encoder, attacker", _XIAO, rows)


def _xiao_table2() -> PaperTable:
    papers = (
        (.631, .631, .862, .300, 15.445), (.582, .575, .710, .299, 15.371),
        (.455, .545, .604, .273, 14.920), (.417, .528, .568, .248, 14.454),
        (.311, .507, .542, .225, 14.048), (.255, .502, .530, .224, 14.047),
        (.000, .294, .374, .158, 12.899),
    )  # fmt: skip
    rows = [
        (f"λ2 = {value}", _xiao_row("xiao-table2", f"lambda2-{value}", "weak", "feature", paper))
        for value, paper in zip(LAMBDA2, papers, strict=True)
    ]
    nothing: Figures = (None,) * 5
    rows.append((NOTHING, _xiao_row("xiao-table2", "constant", "weak", "feature", nothing)))
    return PaperTable("xiao-table2", "Xiao, Table 2", "encoder", _XIAO, tuple(rows))


def _xiao_table3() -> PaperTable:
    figures = {
        "face sim.": ("face_similarity", "weak", ((.98, .36), (.95, .48), (.74, .49), (.64, .52),
                                                  (.55, .50), (.54, .51))),
        "MCC": ("utility/mean_mcc", "", ((.64, .65), (.65, .64), (.64, .64), (.65, .64),
                                         (.65, .61), (.64, .61))),
        # The paper's fc column is within / between where the others are between / within.
        "LDA score": ("codes/lda_score", "", ((1.96, .28), (1.77, .39), (.78, .34), (.54, .35),
                                              (.52, .42), (.39, .67))),
    }  # fmt: skip
    rows = []
    for place, cut in enumerate(CUTS):
        for which, defence in enumerate(("undefended", "defended")):
            entries = tuple(
                Entry(Cell("xiao-table3", f"{cut}-{defence}", metric, role), paper[place][which])
                for metric, role, paper in figures.values()
            )
            rows.append((f"{cut}, {'λ1 > 0' if which else 'λ1 = 0'}", entries))
    # Codes that are all the same have no score; those of noise have one.
    guessed = (
        ("face_similarity", "weak"), ("utility/mean_mcc", ""), ("codes/chance_lda_score", "")
    )  # fmt: skip
    entries = tuple(Entry(Cell("xiao-table3", "constant", *figure)) for figure in guessed)
    rows.append((f"{NOTHING} (LDA: noise)", entries))
    return PaperTable("xiao-table3", "Xiao, Table 3", "cut point", tuple(figures), tuple(rows))


def _pittaluga_table1() -> PaperTable:
    papers = {
        "GAN": ("gan", (0.511, 0.839, 0.843), (0.501, 0.844, 0.845)),
        "flip": ("flip", (0.521, 0.642, 0.653), (0.536, 0.739, 0.735)),
    }
    places = (("selection", "in_loop_attribute"), ("selection", "private"), ("test", "private"))
    rows = tuple(
        (
            f"{label}, {task} task hidden",
            tuple(
                Entry(Cell("pittaluga-table1", f"{loss}-{task}", metric, role), figure)
                for (metric, role), figure in zip(places, paper, strict=True)
            ),
        )
        for label, (loss, *both) in papers.items()
        for task, paper in zip(("first", "second"), both, strict=True)
    )
    columns = ("in the loop, validation", "saturated, validation", "saturated, test")
    title = "Pittaluga, Table 1 (private accuracy)"
    return PaperTable("pittaluga-table1", title, "loss", columns, rows)


def _pittaluga_table2() -> PaperTable:
    tasks = ("first", "second", "third", "fourth", "fifth", "sixth")
    papers: tuple[tuple[str, str, Figures], ...] = (
        ("images", "identity", (.983, .967, .969, .982, .942, .995)),
        ("blur", "blur", (.914, .869, .881, .951, .782, .966)),
        ("- first", "inhibit-first", (.754, .761, .781, .896, .678, .919)),
        ("- second", "inhibit-second", (.796, .750, .832, .891, .694, .915)),
        ("- fourth", "inhibit-fourth", (.639, .667, .712, .811, .613, .824)),
        ("- fifth", "inhibit-fifth", (.796, .806, .848, .905, .701, .922)),
        ("+ first - second", "promote-first", (.956, .736, .774, .873, .621, .877)),
        ("- first + second", "promote-one", (.653, .916, .751, .836, .612, .821)),
        ("- first + second, third", "promote-two", (.717, .930, .912, .897, .723, .921)),
        (
            "- first + second, third, fourth", "promote-three",
            (.807, .939, .890, .967, .741, .918),
        ),
        ("- first + fifth", "promote-fifth", (.801, .802, .840, .932, .867, .938)),
    )  # fmt: skip
    rows = tuple(
        (
            label,
            tuple(
                Entry(Cell("pittaluga-table2", encoder, "test", f"probe/{task}"), figure)
                for task, figure in zip(tasks, paper, strict=True)
            ),
        )
        for label, encoder, paper in papers
    )
    title = "Pittaluga, Table 2 (accuracy by task)"
    return PaperTable("pittaluga-table2", title, "encoder", tasks, rows)


def _collapse() -> PaperTable:
    papers: dict[str, tuple[str, Figures]] = {
        "none": ("no normalisation", (None, 1.0, None)),
        "none-bias": ("no normalisation, biases", (None, 1.0, None)),
        "batch": ("batch, no bias", (.75, None, None)),
        "per-location-bias": ("per location, bias", (0.0, .90, None)),
        "per-location": ("per location, no bias", (0.0, 0.0, None)),
    }  # fmt: skip
    metrics = ("collapse/below_0.01", "collapse/below_0.5", "collapsed")
    rows = tuple(
        (
            label,
            tuple(
                Entry(Cell("pittaluga-collapse", encoder, metric), figure)
                for metric, figure in zip(metrics, paper, strict=True)
            ),
        )
        for encoder, (label, paper) in papers.items()
    )
    columns = ("variance below 0.01", "variance below 0.5", "encoders that collapse")
    return PaperTable(
        "pittaluga-collapse", "Pittaluga, section 4.2 (shares of outputs)", "normalisation",
        columns, rows,
    )  # fmt: skip


def _deep_table3() -> PaperTable:
    papers = {"mirror": .3175, "urec1": .3123, "urec2": .3095, "resrec": .3169}  # fmt: skip
    rows = tuple(
        (
            label,
            (
                Entry(Cell("deepobfuscator-table3", "defended", "ms_ssim", role), figure),
                Entry(Cell("deepobfuscator-table3", "undefended", "ms_ssim", role)),
                Entry(Cell("deepobfuscator-table3", "constant", "ms_ssim", role)),
            ),
        )
        for label, (role, figure) in zip(
            ("mirror", "URec#1", "URec#2", "ResRec"), papers.items(), strict=True
        )
    )
    title = "DeepObfuscator, Table 3 (MS-SSIM)"
    return PaperTable(
        "deepobfuscator-table3", title, "reconstructor", ("defended", "undefended", NOTHING), rows
    )


def _deep_table4() -> PaperTable:
    papers: dict[tuple[str, str], tuple[str, Figures]] = {
        ("defended", "mirror"): ("DeepObfuscator", (.3175, 6.32)),
        # Not in the paper; for comparison.
        ("defended", "in_loop"): ("DeepObfuscator, in the loop", (None, None)),
        ("undefended", "mirror"): ("no adversary", (.9458, 27.81)),
        ("noise", "mirror"): ("noise", (.7263, 16.97)),
        ("constant", "mirror"): (NOTHING, (None, None)),
    }  # fmt: skip
    rows = tuple(
        (
            label,
            tuple(
                Entry(Cell("deepobfuscator-table4", encoder, metric, role), figure)
                for metric, figure in zip(("ms_ssim", "psnr"), paper, strict=True)
            ),
        )
        for (encoder, role), (label, paper) in papers.items()
    )
    return PaperTable(
        "deepobfuscator-table4",
        "DeepObfuscator, Table 4",
        "encoder",
        ("MS-SSIM", "PSNR (dB)"),
        rows,
    )


def _deep_figure7() -> PaperTable:
    recipe = "deepobfuscator-figure7"
    metrics = (
        ("utility/balanced_accuracy/$smile", ""), ("utility/balanced_accuracy/$cheekbone", ""),
        ("test", "probe/gender"), ("test", "probe/makeup"), ("in_loop/attribute", ""),
    )  # fmt: skip
    # The figure's bars are not printed as numbers; the text gives a few, as plain accuracies.
    papers: dict[str, Figures] = {
        "a": (.9153, None, .5885, None, None), "b": (None, None, .5979, None, None),
        "c": (None, None, .6396, None, None), "d": (.9085, None, None, None, None),
        "e": (None,) * 5, "f": (None,) * 5,
        "undefended-smile": (.9268, None, .9736, None, None), "undefended-cheekbone": (None,) * 5,
        "undefended-both": (None,) * 5, "noise-smile": (.8732, None, .9015, None, None),
    }  # fmt: skip
    rows = tuple(
        (
            f"({encoder})" if len(encoder) == 1 else encoder.replace("-", ", "),
            tuple(
                Entry(Cell(recipe, encoder, metric, role), figure)
                for (metric, role), figure in zip(metrics, paper, strict=True)
            ),
        )
        for encoder, paper in papers.items()
    )
    columns = ("smile", "cheekbone", "gender", "makeup", "private, in the loop (selection)")
    title = "DeepObfuscator, Figure 7 (paper: accuracy; ours: balanced accuracy)"
    return PaperTable(recipe, title, "encoder", columns, rows)


def _one_defence() -> PaperTable:
    recipe = "deepobfuscator-one-defence"
    papers: dict[str, tuple[str, Figures]] = {
        "both": ("both", (.5885, None)),
        "undefended": ("none", (.9736, None)),
        "reconstruction-alone": ("reconstruction", (.937, None)),
        "attribute-alone": ("attribute", (None, None)),
    }  # fmt: skip
    rows = tuple(
        (
            label,
            (
                Entry(Cell(recipe, encoder, "test", "private"), paper[0]),
                Entry(Cell(recipe, encoder, "ms_ssim", "mirror"), paper[1]),
            ),
        )
        for encoder, (label, paper) in papers.items()
    )
    title = "DeepObfuscator, section 4.2 (one defence alone)"
    return PaperTable(recipe, title, "defended against", ("gender", "MS-SSIM"), rows)
