"""The report's sentences: what was asked, what came out, and how sure that is.

Every sentence is made from the study's own numbers and says nothing they do not carry.
"""

from typing import Any

import pandas as pd

from analysis.confirmation import Confirmation
from analysis.confirmation_report import confirmation_sentences, fresh_sentence
from analysis.faces import faces_warning, read_identity
from analysis.health import health_sentence, read_health
from analysis.kinds import IN_LOOP_KINDS, IN_LOOP_NAMES, in_loop_leakage, left_out
from analysis.load import StudyTables
from analysis.methods import compares_methods
from analysis.narrative_faces import quiz_sentences
from analysis.narrative_methods import (
    collapsed_sentence,
    dominated_sentence,
    gap_sentences,
    listed,
    method_sentences,
    searched_sentence,
)
from analysis.narrative_threats import rung_sentence, white_box_sentences
from analysis.records import encoder_labels
from analysis.uncertainty import Certainty

CHANCE_OF_A_RIVAL = 0.2
"""Share of redrawn frontiers from which an encoder that is not on the measured one is a rival."""
IMAGES = {"avatars": "avatars", "celeba": "CelebA's faces", "folder": "photographs by category"}
"""How each source's images are called."""


def asked(tables: StudyTables) -> list[str]:
    """What the study was about, as far as its configuration and runs say."""
    data, model = _part(tables, "data"), _part(tables, "model")
    question = (
        "An encoder turns a client's image into a code that a service can use. How much of the "
        "image, and of its private attributes, can an attacker still recover from the code once it "
        "has retrained on the frozen encoder, and what does preventing that cost the service?"
    )
    sentences = [question]
    utility = tables.data.get("utility") or data.get("utility")
    private = tables.data.get("private") or data.get("private")
    facts = []
    if utility:
        facts.append(f"The service predicts {_names(utility)}")
    if private:
        facts.append(f"{_names(private)} {'is' if _count(private) == 1 else 'are'} private")
    if data.get("source"):
        images = IMAGES.get(data["source"], f"of {data['source']}")
        facts.append(f"the images are {images} at {_size(data.get('image_size'))}")
    if facts:
        text = "; ".join(facts)
        sentences.append(text[0].upper() + text[1:] + ".")
    sentences += searched_sentence(tables.encoders)
    attackers = _retrained(tables)
    if attackers:
        backbone = f"{model['backbone']} encoder" if model.get("backbone") else "encoder"
        sentences.append(
            f"Each {backbone} was frozen and attacked by {_plural(len(attackers), 'attacker')} "
            f"trained from scratch ({', '.join(attackers)}){_and_in_loop(tables)}; its leakage is "
            "that of the worst."
        )
    sentences += rung_sentence(tables)
    return sentences


def answered(
    tables: StudyTables, facts: dict[str, Any], confirmed: Confirmation | None = None
) -> list[str]:
    """What came out; `facts` is `analysis.tables.summary` of the same study."""
    if facts["num_encoders"] == 0:
        return ["No encoder has been trained yet."]
    if facts["frontier_size"] == 0 and facts["provisional_size"] == 0:
        return ["No encoder has been verified yet, so there is no answer so far."]
    labels = encoder_labels(tables.encoders)
    if facts["frontier_size"] == 0:
        sentences = [_provisional_sentence(facts)]
    else:
        named = compares_methods(tables.encoders)
        trade = facts["best_trade"]
        sentences = [_trade_sentence(trade, labels, facts["max_utility_loss"], named)]
        sentences += fresh_sentence(confirmed, None if trade is None else trade["encoder_id"])
    bound = facts["best_trade_lower_bound"]
    if bound and (facts["best_trade"] or {}).get("encoder_id") != bound["encoder_id"]:
        looks = "looks better still" if facts["best_trade"] else "seems to leak less"
        sentences.append(
            f"{_who(bound, labels).capitalize()} {looks} (at least {bound['leakage']:.3f} at "
            f"mean MCC {bound['utility']:.3f}), but an attacker ran out of its budget on it: that "
            "is a lower bound and does not count as privacy."
        )
    if facts["frontier_size"]:
        sentences.append(_frontier_sentence(facts))
    sentences += method_sentences(tables.encoders, facts)
    if facts["labels_leakage"] is not None:
        sentences.append(
            f"For reference, sending nothing but the true labels leaks "
            f"{'' if facts['labels_saturated'] else 'at least '}"
            f"{facts['labels_leakage']:.3f}, which any encoder of perfect utility gives away."
        )
    sentences += quiz_sentences(tables)
    return sentences + white_box_sentences(tables) + gap_sentences(facts)


def how_sure(
    tables: StudyTables,
    facts: dict[str, Any],
    sure: Certainty | None = None,
    confirmed: Confirmation | None = None,
) -> list[str]:
    """What limits the answer: saturation, public images, seeds, failures, what is not done."""
    sentences = health_sentence(read_health(tables))
    sentences += _certainty_sentence(facts, sure)
    sentences += confirmation_sentences(confirmed)
    if facts["num_attacks"]:
        if facts["num_unsaturated_attacks"]:
            bounds = facts["num_unsaturated_encoders"]
            sentences.append(
                f"{facts['num_unsaturated_attacks']} of {facts['num_attacks']} attacks ran out of "
                "their budget before they saturated"
                + (
                    f", so the leakage of {_plural(bounds, 'encoder')} is a lower bound: drawn "
                    "hollow, not on the frontier and beating no other encoder."
                    if bounds
                    else ", none of them on an encoder that is compared."
                )
            )
        else:
            sentences.append(
                f"All {facts['num_attacks']} attacks trained until they saturated."
                if facts["num_attacks"] > 1
                else "The one attack trained until it saturated."
            )
    if facts["num_unsaturated_references"]:
        sentences.append(
            f"{_plural(facts['num_unsaturated_references'], 'attack')} on the floor and ceiling "
            "encoders did not saturate: a ceiling may be too low, and leakages then too high."
        )
    if facts["num_public"] is not None:
        sentences.append(
            f"The attackers had {facts['num_public']:,.0f} public images to train on; an attacker "
            "with more may find more."
        )
    seeds = tables.attacks.loc[tables.attacks["attacker"].isin(_retrained(tables)), "seed"]
    if facts["num_attacks"] and seeds.notna().any():
        sentences.append(
            f"{'Every' if confirmed is None else 'In the search every'} encoder was trained once "
            f"and attacked with {_plural(seeds.nunique(), 'seed')} per attacker: small differences "
            "between encoders may be chance."
        )
    warning = faces_warning(tables, read_identity(tables))
    sentences += [warning] if warning else []
    lost = facts["num_failed"] + facts["num_not_finite"]
    if lost:
        sentences.append(
            f"{lost} of {facts['num_encoders']} encoders failed, diverged or have no finite "
            "measure and are left out; the reasons are listed below."
        )
    sentences += collapsed_sentence(facts)
    sentences += dominated_sentence(facts)
    if facts["num_running"]:
        sentences.append(
            f"The study is not complete: {_plural(facts['num_running'], 'encoder')} of "
            f"{facts['num_encoders']} not yet verified."
        )
    return sentences


def _who(trade: dict[str, Any], labels: dict[str, str]) -> str:
    """The defended encoder of a trade, by its label."""
    kind = "the baseline" if trade["role"] == "baseline" else "encoder"
    return f"{kind} {labels[trade['encoder_id']]}"


def _trade_sentence(
    trade: dict[str, Any] | None, labels: dict[str, str], limit: float, named: bool
) -> str:
    """The answer itself; `named` tells the encoder's method, where there are several."""
    if trade is None:
        return (
            "No defended encoder with saturated attackers leaks less than the undefended one at a "
            f"loss of at most {limit:g} mean MCC (both judged on the selection split)."
        )
    loss = trade["utility_loss"]
    cost = f"a loss of {loss:.3f}" if loss >= 0 else f"a gain of {-loss:.3f}"
    against = "" if trade["cut_point"] == trade["undefended_cut_point"] else (
        ", the undefended encoder of its own cut not being there"
    )  # fmt: skip
    where = f" at {trade['undefended_cut_point']}" if trade["undefended_cut_point"] else ""
    baseline = trade["role"] == "baseline"
    about = [trade["method"]] if named and not baseline else []
    about += [f"cut at {trade['cut_point']}"] if trade["cut_point"] and not baseline else []
    own = f" ({', '.join(about)})" if about else ""
    least = "" if trade["undefended_saturated"] else "at least "
    return (
        f"The undefended encoder{where} leaks {least}{trade['undefended_leakage']:.3f} at a mean "
        f"MCC of {trade['undefended_utility']:.3f}; {_who(trade, labels)}{own} "
        f"leaks {trade['leakage']:.3f}, {_change(trade)}, at {cost} in mean MCC{against}. It was "
        "chosen on the selection split; these are the figures of the test split."
    )


def _change(trade: dict[str, Any]) -> str:
    """The drop in words; on the test split what was chosen on selection may even leak more."""
    before, drop = trade["undefended_leakage"], trade["leakage_drop"]
    if before <= 0:
        return "no less" if drop == 0 else f"{-drop:.3f} more"
    return f"{drop / before:.0%} less" if drop >= 0 else f"{-drop / before:.0%} more"


def _provisional_sentence(facts: dict[str, Any]) -> str:
    joined = facts["provisional_size"]
    whose = "the one encoder" if joined == 1 else f"the {joined} encoders"
    return (
        "There is no frontier yet: no encoder has had all its attackers saturated, so the "
        f"worst leakage of each is a lower bound. The dashed staircase joins {whose} that would "
        "be on it if the bounds were leakages; it is provisional."
    )


def _frontier_sentence(facts: dict[str, Any]) -> str:
    return (
        f"{_plural(facts['frontier_size'], 'encoder')} of {facts['num_verified']} verified "
        f"{'lies' if facts['frontier_size'] == 1 else 'lie'} on the frontier; together they "
        f"command a hypervolume of {facts['hypervolume']:.3f} (1 would be perfect utility without "
        "any leakage)."
    )


def _certainty_sentence(facts: dict[str, Any], sure: Certainty | None) -> list[str]:
    """What other test images might have shown."""
    if sure is None:
        return []
    area = sure.hypervolume
    shares = sorted(sure.probability[name] for name in facts["frontier"])
    rivals = sum(
        share >= CHANCE_OF_A_RIVAL
        for name, share in sure.probability.items()
        if name not in facts["frontier"]
    )
    least = f"{shares[0]:.0%}" if len(shares) == 1 else f"{shares[0]:.0%} to {shares[-1]:.0%}"
    text = (
        f"Redrawn within the errors of its test images, the hypervolume lies between "
        f"{area.low:.3f} and {area.high:.3f} (95%), and the encoders of the frontier stay on it in "
        f"{least} of the draws"
    )
    if rivals:
        text += f"; {_plural(rivals, 'other')} would be on it in a fifth of them or more"
    return [text + ". Other trainings would differ more than other images."]


def _and_in_loop(tables: StudyTables) -> str:
    """The in-loop adversaries, named as one more attacker if there were any."""
    encoders = tables.encoders
    if not any(in_loop_leakage(encoders, kind).notna().any() for kind in IN_LOOP_KINDS):
        return ""
    return ", and by the adversary of its own training where it had one"


def _retrained(tables: StudyTables) -> list[str]:
    """Attackers that were trained on a frozen encoder and count, by name."""
    names = tables.attacks["attacker"]
    return sorted(set(names[~names.isin(IN_LOOP_NAMES)]) - left_out(tables.attacks) - {""})


def _part(tables: StudyTables, name: str) -> dict[str, Any]:
    part = tables.config.get(name)
    return part if isinstance(part, dict) else {}


def _count(names: Any) -> int:
    return 1 if isinstance(names, str) else len(names)


def _names(names: Any) -> str:
    if names == "all":
        return "all attributes that are not private"
    if isinstance(names, str):
        return names
    names = [str(name) for name in names]
    if len(names) > 8:
        return f"{len(names)} attributes"
    return listed(names)


def _size(size: Any) -> str:
    if isinstance(size, list | tuple) and len(size) == 2:
        return f"{size[0]} × {size[1]} pixels"
    return f"{size} × {size} pixels" if pd.api.types.is_number(size) else "their own size"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
