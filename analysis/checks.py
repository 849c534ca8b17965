"""What a claim is, and what rows of experiments say of it.

A claim is *reproduced* if the interval over seeds of every one of its checks lies on the side it
claims, *not reproduced* if the interval of one lies wholly on the other side, and *undecided*
otherwise: too few seeds, too wide an interval, or a figure that is only a lower bound and could, if
it were higher, say something else.
"""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from typing import Literal

from analysis.contrasts import (
    MIN_SEEDS,
    MOST_SEEDS,
    Cell,
    SeedMean,
    Values,
    interval_of,
    paired,
    read_cell,
    seeds_in_common,
    seeds_to_tell_of,
)
from analysis.rows import ExperimentRows

Verdict = Literal["reproduced", "not reproduced", "undecided"]
Statistic = Callable[[Sequence[float]], float]


@dataclass(frozen=True)
class Check:
    """One comparison that a claim makes.

    Attributes:
        what: It in words, as what the statistic is and what is claimed of it.
        cells: The figures that it takes, in the statistic's order.
        statistic: Of one seed's figures, in that order.
        bound: What the statistic is claimed to be above or below.
        above: Whether it is claimed to be above.
        low: Places of the cells that are claimed to be low: a lower bound there speaks for nothing.
        high: Places of those that are claimed to be high: one there speaks against nothing.
        useful: Places of the cells that must be of encoders that work for the claim to stand: one
            that collapsed, or diverged, leaks little because it says nothing.
        leaky: Places of those that must for the claim to fall: one that is claimed to leak, and
            collapsed, leaks little for the same reason.
        direction: Of one seed's figures, what is above or below 0 if no more than the direction is
            asked for; None where nothing more is.
    """

    what: str
    cells: tuple[Cell, ...]
    statistic: Statistic
    bound: float
    above: bool
    low: tuple[int, ...] = ()
    high: tuple[int, ...] = ()
    useful: tuple[int, ...] = ()
    leaky: tuple[int, ...] = ()
    direction: Statistic | None = None


@dataclass(frozen=True)
class Claim:
    """What a paper says.

    Attributes:
        name: X, P or D and a number, as in the methods page.
        statement: The claim.
        paper: The paper's own figures.
        checks: What it means, all of them.
    """

    name: str
    statement: str
    paper: str
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class CheckResult:
    """A check on some rows.

    Attributes:
        check: The check.
        found: The statistic over the seeds.
        verdict: What it says.
        why: What keeps it from being decided, or is to be known of it; may be empty.
        takes: Seeds that would tell, if mean and spread stayed; None where seeds are not what is
            missing, and where they would be too many.
        direction: What the same rows say of the direction alone; None where the check asks no more.
    """

    check: Check
    found: SeedMean
    verdict: Verdict
    why: str
    takes: int | None = None
    direction: "CheckResult | None" = None

    @property
    def leans_to_claim(self) -> bool:
        """Whether the mean lies on the side that is claimed."""
        return _leans_to_claim(self.found, self.check)


@dataclass(frozen=True)
class ClaimResult:
    """A claim on some rows."""

    claim: Claim
    verdict: Verdict
    checks: tuple[CheckResult, ...]

    @property
    def would_tell(self) -> str:
        """Seeds that would tell, if means and spreads stayed, and which way; may be empty."""
        return self._teller.why if self._teller else ""

    @property
    def by_direction(self) -> Verdict:
        """The verdict if no more than the direction of differences were asked for."""
        return _together([(check.direction or check).verdict for check in self.checks])

    @property
    def _teller(self) -> CheckResult | None:
        """The check that seeds would decide the claim by.

        One that goes against the claim is enough; for it all must speak.
        """
        open_still = [check for check in self.checks if check.verdict == "undecided"]
        known = [check for check in open_still if check.takes]
        against = [check for check in known if not check.leans_to_claim]
        if against:
            return min(against, key=lambda check: check.takes or 0)
        if len(known) < len(open_still):
            return None
        return max(known, key=lambda check: check.takes or 0, default=None)


def judge(rows: ExperimentRows, claim: Claim) -> ClaimResult:
    """Holds a claim against the rows."""
    results = tuple(check_result(rows, check) for check in claim.checks)
    return ClaimResult(claim, _together([result.verdict for result in results]), results)


def _together(verdicts: Sequence[Verdict]) -> Verdict:
    if "not reproduced" in verdicts:
        return "not reproduced"
    return "reproduced" if set(verdicts) == {"reproduced"} else "undecided"


def check_result(rows: ExperimentRows, check: Check) -> CheckResult:
    """Holds one check against the rows."""
    result = _held(rows, check)
    if check.direction is None:
        return result
    plain = replace(check, statistic=check.direction, bound=0.0, direction=None)
    return replace(result, direction=_held(rows, plain))


def _held(rows: ExperimentRows, check: Check) -> CheckResult:
    cells = [read_cell(rows, cell) for cell in check.cells]
    made = paired(cells, check.statistic)
    found = interval_of(check.cells, list(made.values()))
    # Not left out in silence: what is left would be a choice of seeds.
    if undefined := seeds_in_common(cells) - made.keys():
        why = f"nothing to compare in {len(undefined)} of {len(undefined) + len(made)} seeds"
        return CheckResult(check, found, "undecided", why)
    if found.count < MIN_SEEDS:
        why = f"{found.count} of {MIN_SEEDS} seeds{_for_lack_of(cells, check)}"
        return CheckResult(check, found, "undecided", why)
    side = _side(found, check)
    # More seeds would not help: it is what they would show that a caveat is about.
    if why := _caveat(cells, check, made.keys(), _leans_to_claim(found, check)):
        return CheckResult(check, found, "undecided", why)
    if side != "undecided":
        return CheckResult(check, found, side, "")
    takes = seeds_to_tell_of(check.cells, found, check.bound)
    return CheckResult(check, found, side, seeds_in_words(takes, found, check), takes)


def seeds_in_words(takes: int | None, found: SeedMean, check: Check) -> str:
    """How many seeds would tell a check, and which way if the mean stayed where it is."""
    if takes is None:
        return f"not with {MOST_SEEDS} seeds either"
    way = "for" if _leans_to_claim(found, check) else "against"
    return f"about {takes} seeds would tell, {way} it"


def _leans_to_claim(found: SeedMean, check: Check) -> bool:
    return found.mean > check.bound if check.above else found.mean < check.bound


def _side(found: SeedMean, check: Check) -> Verdict:
    if found.low > check.bound or found.high < check.bound:
        return "reproduced" if (found.low > check.bound) == check.above else "not reproduced"
    if found.low == found.high == check.bound:
        return "not reproduced"
    return "undecided"


def _caveat(cells: Sequence[Values], check: Check, compared: Set[int], for_the_claim: bool) -> str:
    """Why figures that speak for a claim, or against it, may not."""
    asked = check.low if for_the_claim else check.high
    if bounds := [place for place in asked if cells[place].bounds & compared]:
        return f"a lower bound: an attacker of {_named(check, bounds)} had not saturated"
    asked = check.useful if for_the_claim else check.leaky
    # A seed that diverged could not be compared, and is not left out in silence.
    broken = [
        place for place in asked if cells[place].collapsed & compared or cells[place].diverged
    ]
    return f"{_named(check, broken)} collapsed or diverged" if broken else ""


def _for_lack_of(cells: Sequence[Values], check: Check) -> str:
    """Whose figures are missing, where others have theirs."""
    few = [place for place, values in enumerate(cells) if len(values.by_seed) < MIN_SEEDS]
    return f", for lack of {_named(check, few)}" if 0 < len(few) < len(cells) else ""


def _named(check: Check, places: Sequence[int]) -> str:
    return ", ".join(sorted({check.cells[place].encoder for place in places}))
