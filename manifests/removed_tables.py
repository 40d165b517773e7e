"""What cleaning took, as tables: `show removed`, the section of the report, and the warnings of `verify`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from manifests.boilerplate import RULE as BOILERPLATE
from manifests.books import Problems
from manifests.build import recipe, sources_in_order, stages
from manifests.removed import (
    CLOSES,
    NOT_CLEANING,
    Alarm,
    SourceRemoved,
    alarms,
    count_removed,
    lost,
    lost_share,
    stated_removed,
    thresholds,
)
from manifests.report_parts import Bar, Section
from manifests.store import Store
from manifests.tables import SMALL_CELL, Column, Table
from manifests.verify_books import Check, Lies

NOTE = (
    "Kept documents; shares of what extraction gave. Characters: what a rule took and did not replace, white space "
    "aside. Digits: those of the numbers that left. Cleaning is every rule but the identifier check; boilerplate is "
    "part of it. An alarm is no error: the build stands, and somebody should look."
)


def removed_tables(build: Store, source: str = "") -> list[Table]:
    """What cleaning took from every source, by rule; of one `source`, with what extraction left out."""
    removed = stated_removed(stages(build))
    entries = sources_in_order(build)
    table = recipe(build)
    found = alarms(removed, table)
    chosen = {name: removed[name] for name in entries if name in removed and source in ("", name)}
    by_source = Table("Removed", SOURCE_COLUMNS, [_source_row(name, of, table, entries, found) for name, of in
                                                  chosen.items()], NOTE)  # fmt: skip
    rules = [
        _rule_row(name, rule, of, restricted=bool(entries[name]["card"]["restricted"]))
        for name, of in chosen.items()
        for rule in of["rules"]
    ]
    by_rule = Table("By rule", RULE_COLUMNS, rules)
    left = [
        {"source": name, "what": what, **{form: of["extraction"].get(f"{what}_{form}", 0) for form in LEFT_OUT_FORMS}}
        for name, of in chosen.items()
        for what in dict.fromkeys(key.rpartition("_")[0] for key in of["extraction"])
    ]
    note = (
        "Visible text of the payload that extraction left out as whole blocks; formats that cannot tell are not here."
    )
    at_extraction = Table("Left out at extraction", LEFT_OUT_COLUMNS, left, note)
    # All sources and all their rules would be more than one screen.
    return [by_source, by_rule, at_extraction] if source else [by_source, _rules_of_all(rules)]


SOURCE_COLUMNS = (
    Column("source", "source"),
    Column("documents", "documents", "count"),
    Column("characters", "characters", "count"),
    Column("characters_share", "removed", "share"),
    Column("digits", "digits", "count"),
    Column("digits_share", "removed", "share"),
    Column("boilerplate_share", "boilerplate", "share"),
    Column("phi_share", "identifiers", "share"),
    Column("left_out", "left out before", "count"),
    Column("alarm", "alarm"),
)
RULE_COLUMNS = (
    Column("source", "source"),
    Column("rule", "rule"),
    Column("documents", "documents", "count"),
    Column("removed_characters", "characters removed", "count"),
    Column("removed_spaces", "of them spaces", "count"),
    Column("added_characters", "added", "count"),
    Column("removed_digits", "digits removed", "count"),
    Column("added_digits", "added", "count"),
)
LEFT_OUT_FORMS = ("characters", "digits")
LEFT_OUT_COLUMNS = (
    Column("source", "source"),
    Column("what", "what"),
    *(Column(form, form, "count") for form in LEFT_OUT_FORMS),
)


def _source_row(
    name: str,
    of: Mapping[str, Any],
    table: Mapping[str, Any],
    entries: Mapping[str, Any],
    found: list[Alarm],
) -> dict[str, Any]:
    limits = thresholds(table, name)
    raised = [alarm for alarm in found if alarm.source == name]
    replaced = [rule for rule in of["rules"] if rule.startswith(NOT_CLEANING)]
    n_replaced = max((of["rules"][rule].get("documents", 0) for rule in replaced), default=0)
    few = entries[name]["card"]["restricted"] and 0 < n_replaced < SMALL_CELL
    return {
        "source": name,
        **{key: of[key] for key in ("documents", "characters", "digits")},
        "characters_share": lost_share(of, "characters"),
        "characters_threshold": limits["characters"],
        "digits_share": lost_share(of, "digits"),
        "digits_threshold": limits["digits"],
        "boilerplate_share": lost_share(of, "characters", rule=BOILERPLATE) if BOILERPLATE in of["rules"] else 0.0,
        "phi_share": f"<{SMALL_CELL} documents" if few else sum(
            lost_share(of, "characters", rule=rule) for rule in replaced
        ),
        "left_out": sum(n for what, n in of["extraction"].items() if what.endswith("_characters")),
        "alarm": ", ".join(f"ALARM {one.what}: {one.share:.2%} > {one.threshold:.2%}, {one.rule}" for one in raised),
    }  # fmt: skip


def _rule_row(name: str, rule: str, of: Mapping[str, Any], *, restricted: bool) -> dict[str, Any]:
    sums = of["rules"][rule]
    if restricted and rule.startswith(NOT_CLEANING) and 0 < sums.get("documents", 0) < SMALL_CELL:
        return {"source": name, "rule": rule, "documents": f"<{SMALL_CELL}"}
    row = {column.key: sums.get(column.key, 0) for column in RULE_COLUMNS[2:]}
    return {"source": name, "rule": rule, **row}


def _rules_of_all(rows: list[dict[str, Any]]) -> Table:
    sums: dict[str, dict[str, Any]] = {}
    for row in rows:
        of = sums.setdefault(row["rule"], {"rule": row["rule"]})
        for column in RULE_COLUMNS[2:]:
            n = row.get(column.key, 0)
            of[column.key] = of.get(column.key, 0) + (n if isinstance(n, int) else 0)
    note = "One source with its rules: --source SOURCE. One document: medtrove text DOC_ID --diff."
    return Table("By rule, all sources", RULE_COLUMNS[1:], list(sums.values()), note)


def removed_section(build: Store, hues: Mapping[str, int]) -> Section:
    """What cleaning took, for the report."""
    removed = stated_removed(stages(build))
    found = alarms(removed, recipe(build))
    shares = {name: lost_share(removed[name], "characters") for name in hues if name in removed}
    widest = max(shares.values(), default=0.0) or 1.0
    bars = tuple(
        Bar(
            name,
            ((hues[name], 100 * share / widest, f"{share:.3%} of the characters"),),
            f"{share:.3%} of characters, {lost_share(removed[name], 'digits'):.3%} of digits",
        )
        for name, share in shares.items()
        if share
    )
    tables = removed_tables(build)
    return Section("removed", "Removed by cleaning", _takeaway(removed, found), tuple(tables), bars=bars)


def _takeaway(removed: Mapping[str, Mapping[str, Any]], found: list[Alarm]) -> str:
    total = {what: sum(of[what] for of in removed.values()) for what in ("characters", "digits")}
    taken = {
        what: sum(
            lost(sums, what)
            for of in removed.values()
            for rule, sums in of["rules"].items()
            if not rule.startswith(NOT_CLEANING)
        )
        for what in total
    }
    share = {what: taken[what] / total[what] if total[what] else 0.0 for what in total}
    said = (
        f"Cleaning took {taken['characters']:,} characters ({share['characters']:.3%}) and {taken['digits']:,} digits "
        f"({share['digits']:.3%}) from the kept documents."
    )
    if found:
        return f"ALARM in {', '.join(sorted({alarm.source for alarm in found}))}. {said}"
    return f"{said} No source is above its threshold."


def removed_checks(build: Store, *, fast: bool) -> Iterator[Check]:
    """What stages.jsonl says cleaning took against the tables counted again; alarms as warnings, never failures."""
    stated = stated_removed(stages(build))
    if not fast:
        problems = Problems()
        counted = count_removed(build, problems)
        n = problems.counts[CLOSES]
        yield Check(CLOSES, ok=not n, observed=f"{n:,} documents do not" if n else "they do",
                    expected="n_chars = n_chars_raw - removed + added, document by document",
                    detail="; ".join(problems.named[CLOSES]))  # fmt: skip
        lies = Lies()
        for source in sorted(set(stated) | set(counted)):
            of, recounted = (side.get(source, SourceRemoved().as_dict()) for side in (stated, counted))
            for key in sorted(set(of) | set(recounted)):
                lies.compare(f"{source} {key}", of.get(key), recounted.get(key))
        yield lies.check("removed.counted", "stages.jsonl states what the tables add up to, rule by rule")
    found = alarms(stated, recipe(build))
    yield Check("removed.alarms", ok=True, observed=f"{len(found)} alarms" if found else "none",
                expected="no source lost more to cleaning than the recipe's [alarms]",
                warning="\n".join(str(alarm) for alarm in found))  # fmt: skip
