"""Source cards: what is known about a publisher or data set, its terms, and what they allow.

One TOML file a source (`manifests/sources/<id>.toml`), closed: an unknown or missing key, a licence nobody knows, or
facts that contradict each other are errors that name the file, the key and the way out.
"""

from __future__ import annotations

import datetime
import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from manifests import card_checks
from manifests.errors import RecipeError, SourceError
from manifests.licences import LicenceClass

USE_CLASSES = ("on by default", "with recorded basis", "archive", "encyclopedia")
"""Disjoint: what `medtrove sources` counts. `with recorded basis`: the recipe says on what ground it is used."""


@dataclass(frozen=True, slots=True)
class Expected:
    """How much of a source is expected where a recipe asks for a part of it."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the loader, and `loader` itself, under which the figures hold; all must be as the recipe has them."""
    published_until: str = ""
    """Cutoff of the rule `source.published_until` under which they hold; empty: without that rule too."""
    documents: int | None = None
    """None: those of the card."""
    tokens: int | None = None
    basis: str = ""
    source: str = ""
    """What says so; empty: as the card."""
    at_most: bool = False
    """True: the figures are an upper bound."""


@dataclass(frozen=True, slots=True)
class Card:
    """The facts of one source. Optional fields have the default written here."""

    id: str
    """Id of the source, the first half of its `doc_id`s; the file's name."""
    title: str
    publisher: str
    kind: str
    """One of `manifests.document.KINDS`."""
    loader: str
    """Loader that fetches and reads it, unless a recipe names another."""
    homepage: str
    licence: str
    """SPDX id, `LicenseRef-...`, or `per-document` when every document states its own."""
    licence_class: LicenceClass
    """Of the source as a whole; with `per-document`, the strictest a document may have."""
    redistribution: bool
    """True: the text itself may be passed on."""
    terms_quote: str
    """The publisher's words that the licence rests on."""
    terms_url: str
    terms_read: datetime.date
    """Day on which `terms_quote` was read."""
    access: Literal["open", "credentialed", "forbidden-without-permission"]
    restricted: bool
    """True: text under an agreement; a build that holds it is restricted as a whole."""
    default_on: bool
    """True: shipped recipes may use it without the user saying so."""
    robots: str
    """How robots.txt is treated: `obeyed`, `not applicable`, ..."""
    contact: str
    """Whom to ask for a takedown or permission."""
    phi_policy: Literal["guideline", "literature", "note", "web"]
    hosts: tuple[str, ...]
    """Public hosts that are fetched from; empty for files the user brings."""
    verified_live: datetime.date | Literal[False]
    """Day on which the loader last met the live site; False: never from here."""
    notes: str = ""
    expected_documents: int | None = None
    """Documents a complete run should give, as `expected_source` counts them."""
    expected_source: str = ""
    expected_tokens: int | None = None
    """Tokens of them, before rules and deduplication; see `expected_basis`."""
    expected_basis: str = ""
    """`published`, `measured` or `estimated`: how `expected_tokens` was come by."""
    expected_from: str = ""
    """What says so: paper, address or count, tokenizer, and of an estimate its factors."""
    expected_until: str = ""
    """The figures count what was published up to this month: a later cutoff does not change them."""
    expected_per: Mapping[str, int] = field(default_factory=dict)
    """Documents that one unit of an option gives at most, such as a record file of `max_baseline_files`."""
    expected_when: tuple[Expected, ...] = ()
    """Figures of parts: the one that fits a recipe best replaces those above."""
    terms_from: str = ""
    """How `terms_quote` was come by: `the publisher's page`, `a stored copy of <date>`, `reported by <who>`."""
    archive: bool = False
    """True: the publisher's own door is closed or dead; the loader reads what others archived, of a past date."""
    min_listed: int | None = None
    """A listing that names fewer documents than this means that the site has changed, not that it shrank."""
    fetcher: Literal["http", "browser"] = "http"
    """`browser`: the site answers programs with a JavaScript challenge; needs the extra `browser`."""

    @property
    def use(self) -> str:
        """One of `USE_CLASSES`: on what ground a recipe may use the source."""
        if self.kind == "encyclopedia":
            return "encyclopedia"
        if self.archive:
            return "archive"
        return "on by default" if self.default_on else "with recorded basis"

    @property
    def needs_permission(self) -> bool:
        """True: no open licence covers the use, so the recipe must record on what ground it stands."""
        closed = self.kind == "guideline" and bool(self.hosts) and self.use == "with recorded basis"
        return self.access == "forbidden-without-permission" or closed

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; dates as ISO 8601."""
        table = asdict(self)
        for name in ("terms_read", "verified_live"):
            if isinstance(table[name], datetime.date):
                table[name] = table[name].isoformat()
        return {**table, "hosts": list(self.hosts)}


def sources_folder() -> Path:
    """The folder of the cards that come with medtrove."""
    return Path(str(resources.files("manifests"))) / "sources"


def find_card(source_id: str, extra_folders: Sequence[str | Path] = ()) -> Card:
    """The card of `source_id`: in `extra_folders` first, then among the shipped; RecipeError names the nearest."""
    folders = [*(Path(folder) for folder in extra_folders), sources_folder()]
    for folder in folders:
        path = folder / f"{source_id}.toml"
        if path.is_file():
            return load_card(path)
    known = sorted({path.stem for folder in folders for path in folder.glob("*.toml")})
    near = difflib.get_close_matches(source_id, known, n=1)
    raise RecipeError(
        f"no source card called {source_id!r}.",
        why=f"Cards are {', '.join(known) or 'none'}.",
        fix=f"Did you mean {near[0]!r}?" if near else f"Write {source_id}.toml, or give its path as `card`.",
    )


def load_card(path: str | Path) -> Card:
    """The checked card of a TOML file; SourceError says what is wrong with it and where."""
    place = Path(path)
    try:
        table = tomllib.loads(place.read_text(encoding="utf-8"))
    except OSError as error:
        raise SourceError(f"the card cannot be read: {error.strerror}.", where=str(place), fix="Correct it.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SourceError(f"not valid TOML: {error}.", where=str(place), fix="Correct the line it names.") from None
    card = parse_card(table, where=str(place))
    if card.id != place.stem:
        raise _wrong(str(place), "id", f"is {card.id!r}, but the file is called {place.name}.", "Make them equal.")
    return card


def parse_card(table: Mapping[str, Any], *, where: str) -> Card:
    """The checked card of a parsed TOML table; `where` stands in messages."""
    values = _closed(Card, table, where, prefix="")
    terms = values["licence_class"]
    if not isinstance(terms, Mapping):
        raise _wrong(
            where, "licence_class", "is not a table.", "Write {use = ..., attribution = ..., share_alike = ...}."
        )
    for name, check in card_checks.CARD.items():
        if name in values and (wrong := check(values[name])):
            raise _wrong(where, name, f"is {values[name]!r}: {wrong}.", "Correct the card.")
    inner = _closed(LicenceClass, terms, where, prefix="licence_class.")
    for name, check in card_checks.LICENCE_CLASS.items():
        if wrong := check(inner[name]):
            raise _wrong(where, f"licence_class.{name}", f"is {inner[name]!r}: {wrong}.", "Correct the card.")
    values["licence_class"] = LicenceClass(**inner)
    values["hosts"] = tuple(values["hosts"])
    values["expected_when"] = tuple(_part(one, where) for one in values.get("expected_when", ()))
    card = Card(**values)
    _consistent(card, where)
    return card


def _part(table: Any, where: str) -> Expected:
    if not isinstance(table, Mapping):
        raise _wrong(where, "expected_when", "is not a list of tables.", "Write [[expected_when]].")
    values = _closed(Expected, table, where, prefix="expected_when.")
    for name, check in card_checks.EXPECTED.items():
        if name in values and (wrong := check(values[name])):
            raise _wrong(where, f"expected_when.{name}", f"is {values[name]!r}: {wrong}.", "Correct the card.")
    if (values.get("documents") or values.get("tokens")) and not (values.get("basis") and values.get("source")):
        raise _wrong(where, "expected_when", "has a figure without basis and source.", "Say who counted, and how.")
    return Expected(**values)


def _closed(
    kind: type[Card] | type[Expected] | type[LicenceClass], table: Mapping[str, Any], where: str, *, prefix: str
) -> dict[str, Any]:
    known = [one.name for one in fields(kind)]
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"Did you mean {prefix + near[0]!r}?" if near else f"Keys are {', '.join(known)}."
            raise SourceError(f"unknown key {prefix + key!r}.", where=where, fix=hint)
    for one in fields(kind):
        if one.name not in table and one.default is MISSING and one.default_factory is MISSING:
            raise SourceError(
                f"the key {prefix + one.name!r} is missing.",
                where=where,
                why="A card is complete, so that nobody has to guess what a source allows.",
                fix=f"Add {prefix}{one.name} = ...",
            )
    return dict(table)


def _wrong(where: str, key: str, what: str, fix: str) -> SourceError:
    return SourceError(f"{key} {what}", where=where, fix=fix)


def _consistent(card: Card, where: str) -> None:
    """Facts that contradict each other: the card would promise what its licence forbids."""
    terms = card.licence_class
    if card.licence.startswith("CC-BY"):
        for mark, holds, meaning in (
            ("-NC", terms.use != "commercial", "licence_class.use must not be 'commercial'"),
            ("-SA", terms.share_alike, "licence_class.share_alike must be true"),
            ("-BY", terms.attribution, "licence_class.attribution must be true"),
        ):
            if mark in card.licence and not holds:
                raise _wrong(where, "licence", f"is {card.licence}, so {meaning}.", "Correct one of the two.")
    if card.restricted and (card.redistribution or terms.use != "restricted" or card.access == "open"):
        raise _wrong(
            where,
            "restricted",
            "is true, so redistribution must be false, licence_class.use 'restricted' and access not 'open'.",
            "Correct the card; a restricted source must not look open.",
        )
    if card.access == "forbidden-without-permission" and card.default_on:
        raise _wrong(where, "default_on", "is true, but the publisher forbids access without permission.", "Set false.")
    if card.expected_documents is not None and not card.expected_source:
        raise _wrong(where, "expected_documents", "has no expected_source.", "Say who counted, and when.")
    if (card.expected_tokens is not None) != bool(card.expected_basis and card.expected_from):
        raise _wrong(
            where,
            "expected_tokens",
            "goes with expected_basis and expected_from.",
            "Say what the figure rests on, or give none: an unknown figure is better than an invented one.",
        )
