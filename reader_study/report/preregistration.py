"""Text for a registry (OSF Preregistration and its like), from the locked protocol."""

from pathlib import Path

from reader_study.design.analysis_plan import Plan, Planned, plan_of
from reader_study.design.protocol import Protocol
from reader_study.design.protocol_file import read_protocol
from reader_study.record.paths import locked_protocol
from reader_study.report.markdown import as_markdown

OPEN = "[To be written by the authors: {}.]"


def preregistration(study: str | Path) -> str:
    """Markdown under the headings of the OSF Preregistration form; what is unknown is named.

    Raises
    ------
    ValueError
        The study is not locked, or its protocol has no analysis.

    Notes
    -----
    Headings follow the form described in doi:10.31222/osf.io/epgjd.
    """
    path = locked_protocol(study)
    if not path.is_file():
        raise ValueError(
            f"expected a locked study, got none in {study}; run reader-study lock first: what is "
            "registered must no longer change"
        )
    written, digest = read_protocol(path)
    # What people wrote is text of the form, and never its markup.
    protocol = as_markdown(written)
    plan = plan_of(protocol)
    sections = {
        "Study information": _information(protocol, plan),
        "Design plan": _design(protocol),
        "Sampling plan": _sampling(protocol),
        "Variables": _variables(protocol, plan),
        "Analysis plan": _analysis(protocol, plan),
        "Other": [
            (
                "Other",
                f"SHA-256 of the locked protocol: {digest}. It can be checked with "
                "`reader-study verify` and will stand in the report.",
            )
        ],
    }
    lines = [f"# {protocol.title}"]
    for heading, parts in sections.items():
        lines.append(f"## {heading}")
        lines += [f"### {name}\n\n{text}" for name, text in parts]
    return "\n\n".join(lines) + "\n"


def _information(protocol: Protocol, plan: Plan) -> list[tuple[str, str]]:
    return [
        ("Title", protocol.title),
        ("Description", OPEN.format("what is known and why this study")),
        ("Hypotheses", "\n".join(f"- {_hypothesis(test, plan)}" for test in plan.tests)),
    ]


def _hypothesis(test: Planned, plan: Plan) -> str:
    aim = plan.aim if test.role == "primary" else "superiority"
    said = {
        "superiority": f"{test.new} and {test.reference} differ (two-sided)",
        "noninferiority": f"{test.new} is not worse than {test.reference} by {plan.margin} or more",
        "equivalence": f"{test.new} and {test.reference} differ by less than {plan.margin}",
    }[aim]
    return f"{test.role}, item “{test.item}”: {said}."


def _design(protocol: Protocol) -> list[tuple[str, str]]:
    design = protocol.design
    arms = "; ".join(
        f"{arm.name}{f' ({arm.description})' if arm.description else ''}"
        f"{', reference' if arm.reference else ''}"
        for arm in protocol.arms
    )
    shown = {
        "pair": "two images side by side",
        "flicker": "two images in one place by turns",
        "single": f"single images in {design.sessions} sessions at least "
        f"{design.washout_days:g} days apart, orders of a Williams design",
    }[design.layout]
    drawn = "Drawn by a secret seed when the protocol was locked and sealed until reading ends. "
    balanced = (
        "Left and right are balanced within readers and strata, at most "
        f"{design.longest_side_run} times the same side in a row."
        if design.is_paired
        else "Every case is seen once in a session, in another arm in each."
    )
    return [
        (
            "Study type",
            "Reader study: every reader judges images of several arms of the same cases.",
        ),
        (
            "Blinding",
            "Readers and coordinator see images under random tokens, without names, tags "
            "or dates; nobody can open the allocation before reading is closed.",
        ),
        (
            "Study design",
            f"Arms: {arms}. Shown as {shown}. {design.repeats:.0%} hidden repeats, "
            f"{design.catch_trials} trials with identical images.",
        ),
        ("Randomization", drawn + balanced),
    ]


def _sampling(protocol: Protocol) -> list[tuple[str, str]]:
    design, cases = protocol.design, protocol.reading_cases
    patients = len({case.patient for case in cases})
    lesions = sum(bool(case.lesions) for case in cases)
    each = design.cases_per_reader or len(cases)
    truth = f", {lesions} of them with lesions" if lesions else ""
    return [
        ("Existing data", OPEN.format("whether images or answers were seen before registration")),
        (
            "Data collection procedures",
            "In the study's own reading room; each answer is kept "
            "insert-only in a hash chain. Population: "
            + (protocol.population.description.strip() or OPEN.format("who was scanned")),
        ),
        (
            "Sample size",
            f"{design.readers} readers; {len(cases)} cases of {patients} "
            f"patients{truth}; {each} cases per reader.",
        ),
        ("Sample size rationale", OPEN.format("from reader-study power")),
        (
            "Stopping rule",
            "Reading ends when every reader has answered every trial, or is closed "
            "by the coordinator, who cannot see answers by arm. Withdrawn readers: "
            + protocol.analysis.withdrawn_readers,
        ),
    ]


def _variables(protocol: Protocol, plan: Plan) -> list[tuple[str, str]]:
    asked = "\n".join(
        f"- {item.name} ({item.kind}): {item.question}"
        + (f" Answers: {'; '.join(item.answers)}." if item.answers else "")
        for item in protocol.items
    )
    lower = ", ".join(protocol.analysis.lower_is_better)
    scored = f" Reverse-scored: {lower}." if lower else ""
    return [
        ("Manipulated variables", "The arm: " + ", ".join(arm.name for arm in protocol.arms) + "."),
        ("Measured variables", asked),
        ("Indices", f"Primary endpoint: {plan.estimand['endpoint']}.{scored}"),
    ]


def _analysis(protocol: Protocol, plan: Plan) -> list[tuple[str, str]]:
    margin = protocol.analysis.margin_justification.strip() or OPEN.format("why this margin")
    inference = f"Two-sided 95 % intervals; aim: {plan.aim}"
    if plan.margin is not None:
        inference += f", margin {plan.margin:g} ({margin})"
    multiple = {
        "holm": "Holm's method within primary and within secondary comparisons",
        "gatekeeping": "fixed order, secondary comparisons behind the primary ones",
        "none": "no adjustment",
    }[plan.multiplicity]
    rest = ", ".join(plan.unplanned_items)
    return [
        ("Statistical models", plan.estimand["summary"] + "."),
        ("Transformations", "None beside reverse-scoring."),
        ("Inference criteria", f"{inference}. Several comparisons: {multiple}."),
        (
            "Data exclusion",
            "Practice, repeated and identical trials do not enter the primary "
            "result. 'Cannot judge' is left out and counted. Fast trials are left out in a "
            "sensitivity analysis only.",
        ),
        ("Missing data", protocol.analysis.missing_data),
        ("Exploratory analysis", f"Tabulated, not tested: {rest}." if rest else "None planned."),
        ("Plan in the words of the protocol", protocol.analysis.plan.strip() or "None."),
    ]


def write_preregistration(study: str | Path) -> Path:
    """``STUDY/preregistration.md``, written; its path."""
    from ctlab.files import write_whole

    text, path = preregistration(study), Path(study) / "preregistration.md"
    with write_whole(path) as part:
        part.write_text(text, "utf-8")
    return path
