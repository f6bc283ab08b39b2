"""GRRAS and CLAIM, filled from what the study knows; the rest is named as open.

Items are given in our own words. GRRAS: Kottner et al. 2011, doi:10.1016/j.jclinepi.2010.03.002.
CLAIM: Mongan, Moy & Kahn 2020, doi:10.1148/ryai.2020200029.
"""

from typing import Any

from reader_study.report.words import plural

OPEN = "To be written by the authors."
Row = dict[str, Any]


def _row(number: int, item: str, answer: str = "") -> Row:
    return {"number": number, "item": item, "answer": answer or OPEN, "filled": bool(answer)}


def grras(facts: dict[str, Any]) -> list[Row]:
    """The 15 items on reliability and agreement studies."""
    design, course = facts["design"], facts["flow"]
    population = design["population"]["description"]
    arms = ", ".join(arm["name"] for arm in design["arms"])
    items = ", ".join(item["name"] for item in design["items"])
    agreement = (
        "Section “Agreement”: raw agreement, Gwet's coefficient, Krippendorff's alpha with 95 % "
        "intervals; hidden repeats by kappa."
        if facts["agreement"]
        else ""
    )
    replicates = plural(course["trials"]["repeat"], "hidden repeat") + " over all slots"
    return [
        _row(1, "Title or abstract names reliability or agreement"),
        _row(2, "What is rated, and with what", f"Images of the arms {arms}; items {items}."),
        _row(3, "Population of subjects", population),
        _row(4, "Population of raters"),
        _row(5, "What is known, and why this study"),
        _row(
            6,
            "Choice of sample size; raters, subjects, replicates planned",
            f"{plural(course['slots'], 'reader')}, {plural(course['cases'], 'case')}, "
            f"{replicates}. The reason for these numbers is to be added.",
        ),
        _row(7, "How subjects and raters were sampled"),
        _row(
            8,
            "Rating process: interval between repeats, information given, blinding",
            _process(facts),
        ),
        _row(
            9,
            "Independence of ratings",
            "Each reader worked alone under an own code and could not see others' answers.",
        ),
        _row(10, "Statistical analysis", "Section “Methods”."),
        _row(
            11,
            "Numbers included: raters, subjects, replicates",
            f"{plural(course['readers'], 'reader')}, {plural(course['cases'], 'case')} of "
            f"{plural(course['patients'], 'patient')}; {course['answered']} of {course['asked']} "
            "main answers.",
        ),
        _row(12, "Characteristics of raters and subjects"),
        _row(13, "Estimates of reliability and agreement with uncertainty", agreement),
        _row(14, "Practical relevance"),
        _row(
            15,
            "Detailed results available",
            "analysis.json, primary.csv and primary.R beside this page.",
        ),
    ]


def _process(facts: dict[str, Any]) -> str:
    design = facts["design"]
    repeats = facts["balance"]["slots"]
    gaps = [row["shortest_repeat_distance"] for row in repeats if row["shortest_repeat_distance"]]
    gap = f" Repeats came at least {min(gaps)} trials later." if gaps else ""
    prevalence = design["population"]["prevalence_told"]
    prevalence = f" Readers were told: {prevalence}" if prevalence else ""
    washout = (
        f" Sessions at least {design['washout_days']:g} days apart."
        if design["sessions"] > 1
        else ""
    )
    return f"Arms hidden behind random tokens, allocation sealed.{gap}{washout}{prevalence}"


def claim(facts: dict[str, Any]) -> list[Row]:
    """The 42 items on studies of artificial intelligence in imaging."""
    known = _claim_answers(facts)
    return [_row(number, item, known.get(number, "")) for number, item in enumerate(_CLAIM, 1)]


def _claim_answers(facts: dict[str, Any]) -> dict[int, str]:
    design, course, proof = facts["design"], facts["flow"], facts["integrity"]
    population = design["population"]
    # The whole fingerprint, one word of 64 letters, would push the table off the page.
    registered = (
        f"Protocol SHA-256 {proof['protocol_sha256'][:16]}… (whole under Methods), "
        f"locked {proof['locked_at'][:10]}."
    )
    return {
        4: f"Aim: {facts['aim']}; {facts['estimand']['endpoint']}.",
        5: "Prospective reading under a protocol locked before the first image was read.",
        6: f"Reader study, {facts['aim']}.",
        9: f"Both sides of a trial were rendered alike; first window: {design['window']}. "
        + (
            f"enlarged with the {design['display_filter']} filter, pixel for pixel as stored."
            if "display_filter" in design
            else ""
        ),
        12: "Only pixels under random tokens reached readers; no tag, name or date.",
        13: facts["estimand"]["intercurrent events"],
        14: population["reference_standard"]
        or ("None: the endpoint is a preference or rating." if not design["lesions"] else ""),
        17: "The study's own reading room (see Methods).",
        18: "Section “Agreement”." if facts["agreement"] else "",
        19: f"{course['slots']} readers and {course['cases']} cases planned; the reason is to be "
        "added.",
        23: ", ".join(f"{name} {version}" for name, version in facts["software"].items()),
        28: facts["estimand"]["endpoint"],
        29: f"{facts['method']}; multiplicity: {facts['multiplicity']}.",
        30: f"{len(facts['sensitivity'])} sensitivity analyses, section “Sensitivity”.",
        33: "Section “Flow”.",
        36: "Section “Result”, with 95 % intervals.",
        40: registered,
        41: "protocol.toml of the study; its hash stands under “Integrity”.",
    }


_CLAIM = [
    "Title or abstract: the kind of artificial intelligence studied",
    "Structured summary",
    "Background, intended use and clinical role",
    "Aims and hypotheses",
    "Prospective or retrospective",
    "Goal of the study",
    "Sources of data",
    "Eligibility",
    "Preprocessing",
    "Selection of parts of the data",
    "Definition of data elements",
    "De-identification",
    "Missing data",
    "Reference standard",
    "Why this reference standard",
    "Who annotated, with what qualification",
    "Tools for annotation",
    "Variability between and within annotators",
    "Sample size and how it was determined",
    "Assignment to training, validation and test",
    "Level at which these are disjoint",
    "The model in detail",
    "Software",
    "Initial parameters",
    "Training",
    "Choice of the final model",
    "Ensembles",
    "Measures of performance",
    "Significance and uncertainty",
    "Robustness and sensitivity",
    "Explanations of the model",
    "External data",
    "Flow of cases",
    "Characteristics of cases",
    "Performance of the model in each partition",
    "Accuracy and its precision",
    "Analysis of failures",
    "Limitations",
    "Consequences for practice",
    "Registration",
    "Access to the protocol",
    "Funding",
]
