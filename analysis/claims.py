"""The papers' claims (methods, section 6), each as checks over the rows of their experiments.

Every figure is of the test split, of attackers retrained until they saturate, unless a check says
that it is of the loop. Margins stand in the words of each check; a difference counts from a quarter
of the paper's on.
"""

from analysis.checks import Claim
from analysis.claims_deepobfuscator import deepobfuscator_claims
from analysis.claims_pittaluga import pittaluga_claims
from analysis.claims_xiao import xiao_claims


def claims() -> list[Claim]:
    """All claims, in the order of the methods page."""
    return [*xiao_claims(), *pittaluga_claims(), *deepobfuscator_claims()]
