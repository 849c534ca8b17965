"""The command line of the analysis.

python -m analysis STUDY                rebuild a study's tables, figures and report
python -m analysis compare A B …        studies side by side
python -m analysis quiz STUDY           can people tell whose reconstruction they see?
python -m analysis claims FOLDER        the papers' claims against the rows of their experiments
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.errors import AnalysisError

COMPARE, QUIZ, CLAIMS = "compare", "quiz", "claims"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code: 0, or 2 for bad input."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    # MLflow would try for minutes to reach a server that is not there.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    try:
        commands = {COMPARE: _compare, QUIZ: _quiz, CLAIMS: _claims}
        if words and words[0] in commands:
            return commands[words[0]](words[1:])
        return _rebuild(words)
    except AnalysisError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _rebuild(words: Sequence[str]) -> int:
    from analysis.choice import Aim, Wish  # it needs MLflow, as all that reads studies does

    parser = _parser(
        "python -m analysis",
        "Rebuild the tables, figures and report of a study from what MLflow holds. Studies side "
        "by side: python -m analysis compare A B; a test for people: python -m analysis quiz STUDY",
        "results folder; everything is written to DIR/STUDY/ (default: results)",
    )
    parser.add_argument("study", metavar="STUDY", help="name of the study")
    parser.add_argument(
        "--utility-floor", type=float, metavar="MCC",
        help="recommend the least leaking encoder of at least this mean MCC, -1 to 1 (default: "
        "study.utility_floor, if the study has one)",
    )  # fmt: skip
    parser.add_argument(
        "--leakage-ceiling", type=float, metavar="LEAKAGE",
        help="recommend the most useful encoder of at most this worst leakage, 0 to 1",
    )  # fmt: skip
    options = parser.parse_args(words)
    wishes = []
    bounds: tuple[tuple[Aim, float | None, float], ...] = (
        ("utility floor", options.utility_floor, -1.0),
        ("leakage ceiling", options.leakage_ceiling, 0.0),
    )
    for aim, bound, low in bounds:
        if bound is not None and not low <= bound <= 1:
            parser.error(f"--{aim.replace(' ', '-')}: from {low:g} to 1, got {bound:g}")
        if bound is not None:
            wishes.append(Wish(aim, bound))
    from analysis.load import checked_name
    from analysis.rebuild import rebuild  # help must not wait for what draws

    results, uri = _places(options)
    report, facts = rebuild(checked_name(options.study), results, uri, wishes)
    print(
        f"{facts['num_verified']} of {facts['num_encoders']} encoders verified, "
        f"{facts['frontier_size']} on the frontier, hypervolume {facts['hypervolume']:.3f}"
    )
    if facts["health_passed"] is False:
        print("the attackers failed health checks: these leakages prove nothing")
    made = ["encoders.parquet", "attacks.parquet", "frontier.parquet", "study.yaml"]
    paths = [report.parent / name for name in made]
    for path in [*paths, *sorted((report.parent / "figures").iterdir()), report]:
        if path.exists():
            print(f"wrote {path}")
    return 0


def _compare(words: Sequence[str]) -> int:
    parser = _parser(
        f"python -m analysis {COMPARE}",
        "Set studies side by side: frontiers in one plot, hypervolume against the first one's "
        "with its interval, encoders gained and lost, what was set differently; of each study "
        "also what every start of it brought.",
        "results folder; the page is written to DIR/comparisons/A+B/ (default: results)",
    )
    parser.add_argument("studies", metavar="STUDY", nargs="+", help="names; the first is the base")
    options = parser.parse_args(words)
    twice = {name for name in options.studies if options.studies.count(name) > 1}
    if twice:
        parser.error(f"each study once, got {', '.join(sorted(twice))} more often")
    from analysis.compare import compare
    from analysis.compare_report import sentences, write_comparison
    from analysis.load import checked_name, load_study

    results, uri = _places(options)
    comparison = compare([load_study(checked_name(name), uri) for name in options.studies])
    page = write_comparison(comparison, results)
    if comparison.obstacles:
        unlike = ", ".join(what for what, _ in comparison.obstacles)
        print(f"not comparable, these differ: {unlike}")
    for sentence in sentences(comparison):
        print(sentence)
    print(f"wrote {page}")
    return 0


def _quiz(words: Sequence[str]) -> int:
    parser = _parser(
        f"python -m analysis {QUIZ}",
        "DeepObfuscator's human study: a page of questions, each one reconstruction and four "
        "faces, one of the person it was made from. Answers stay in the browser until they are "
        "saved as a file; --score compares such files with chance. The page shows the study's "
        "images: treat it as you treat the data.",
        "results folder; the page is written to DIR/STUDY/quiz/ (default: results)",
    )
    parser.add_argument("study", metavar="STUDY", help="name of the study")
    parser.add_argument(
        "--encoder", metavar="LABEL",
        help="whose codes were rebuilt, as the report calls it (default: the answer's)",
    )  # fmt: skip
    parser.add_argument(
        "--questions", type=int, default=10, metavar="N",
        help="at most; a study keeps as many images as report.reconstructions says (10)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of order and of the other faces (0)")
    parser.add_argument(
        "--score", type=Path, nargs="+", metavar="FILE", help="saved answers, of one or more people"
    )
    options = parser.parse_args(words)
    if options.questions < 1:
        parser.error(f"--questions: at least 1, got {options.questions}")
    from analysis.load import checked_name, load_study
    from analysis.quiz import CHANCE, make_quiz, read_json_file, score
    from analysis.quiz_page import write_quiz

    results, uri = _places(options)
    folder = results / checked_name(options.study) / QUIZ
    if options.score:
        key = read_json_file(folder / "quiz-key.json")
        found = score(key, [read_json_file(path) for path in options.score])
        print(
            f"{found.right} of {found.answered} right: {found.share:.0%} "
            f"(95%: {found.low:.0%} to {found.high:.0%}); guessing brings {CHANCE:.0%}, "
            f"as many or more with probability {found.p_value:.3g}"
        )
        same = sum(right == own for right, own in zip(key["right"], key["machine"], strict=True))
        print(f"a machine that compares pixels: {same} of {len(key['right'])}")
        if "right_face" in key:
            print(f"the right face was {key['right_face']}")
        return 0
    quiz = make_quiz(
        load_study(options.study, uri), options.questions, options.encoder, options.seed
    )
    page, key_path = write_quiz(quiz, folder)
    print(f"{len(quiz.questions)} questions: encoder {quiz.encoder}, rebuilt by {quiz.attacker}")
    print(f"the right face is {quiz.right_face}")
    print(f"wrote {page}")
    print(f"wrote {key_path}, which holds the right answers: keep it apart")
    return 0


def _claims(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog=f"python -m analysis {CLAIMS}",
        description="Hold the papers' claims against the rows that `python -m trainables RECIPE` "
        "left: which were reproduced, over how many seeds, with which intervals. The report "
        "shows each paper's tables beside ours and what differs from its setting.",
    )
    parser.add_argument(
        "folder", type=Path, nargs="?", default=Path("results/reproduction"), metavar="FOLDER",
        help="holds RECIPE-SIZE.parquet (default: results/reproduction)",
    )  # fmt: skip
    parser.add_argument("--size", choices=("tiny", "small", "paper"), default="small")
    parser.add_argument(
        "--report", type=Path, metavar="PAGE",
        help="where the report goes (default: FOLDER/report-SIZE.html; with --into none)",
    )  # fmt: skip
    parser.add_argument(
        "--into", type=Path, metavar="PAGE",
        help="rebuild the tables of a Markdown page, such as docs/reproduction.md, and draw them "
        "into FOLDER",
    )  # fmt: skip
    parser.add_argument(
        "--tracking-uri", metavar="URI",
        help="read the tables that study/run.py told MLflow at this address, not a folder's",
    )  # fmt: skip
    options = parser.parse_args(words)
    from analysis.reproduction import fill_file, judged, verdict_lines
    from analysis.reproduction_report import write_report
    from analysis.reproduction_tables import counted
    from analysis.rows import read_rows, report_path

    if options.tracking_uri:
        from analysis.tracked_rows import read_tracked_rows  # it needs MLflow, rows alone do not

        rows = read_tracked_rows(options.tracking_uri, options.size)
    else:
        rows = read_rows(options.folder, options.size)
    results = judged(rows)
    for line in verdict_lines(results):
        print(line)
    print(counted(results))
    if options.into is not None:
        fill_file(options.into, rows, options.folder)
        print(f"wrote {options.into}")
    if options.report is not None or options.into is None:
        report = options.report or report_path(options.folder, options.size)
        print(f"wrote {write_report(rows, report)}")
    return 0


def _parser(program: str, description: str, results: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help=results
    )
    parser.add_argument(
        "--tracking-uri", metavar="URI",
        help="MLflow's address (default: $MLFLOW_TRACKING_URI, else sqlite:///DIR/mlflow.db)",
    )  # fmt: skip
    return parser


def _places(options: argparse.Namespace) -> tuple[Path, str]:
    """The results folder and MLflow's address."""
    results = options.results.resolve()
    uri = (
        options.tracking_uri
        or os.environ.get("MLFLOW_TRACKING_URI")
        or f"sqlite:///{results / 'mlflow.db'}"
    )
    return results, uri


if __name__ == "__main__":
    sys.exit(main())
