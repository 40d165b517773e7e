"""A recipe: one complete TOML file that says what is built, checked before anything runs.

No inheritance, no defaults hidden elsewhere: what the file does not say has the default written here, and
`medtrove plan` prints every value. An unknown key is an error that names the nearest known one.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from manifests.closed_table import CLOSED, sentence
from manifests.errors import RecipeError
from manifests.removed import MAX_REMOVED_CHARACTERS, MAX_REMOVED_DIGITS
from pipelines.mixture_recipe import check_mixture

PACKAGE_PREFIX = "package://"
"""Start of a path inside our installed packages: `package://scrapers/sample/tokenizer.json`."""


class Section(BaseModel):
    """A table of the recipe; closed."""

    model_config = CLOSED


class BucketsSection(Section):
    """`[sources.<id>.buckets]`: its documents by their score, each bucket a source of its own in the mixture."""

    score: str = "score.upsampling"
    """The rule that sets the score; it stands in `[[rules]]`."""
    edges: list[float] = Field(min_length=1)
    """Rising scores; a document is in the bucket of the edges that its score reaches."""
    weights: list[float]
    """Of each bucket, one more than edges, inside its group: 1 and 3 repeat the second three times as often; 0 leaves
    its documents out."""
    unscored: float | None = Field(None, ge=0)
    """Weight of documents without a score; none given: such a document is an error."""


class SourceSection(Section):
    """`[sources.<id>]`: one source, as this recipe uses it."""

    card: str = ""
    """Path of the card, relative to the recipe; empty: `manifests/sources/<id>.toml`."""
    loader: str = ""
    """Name of the loader; empty: the card's."""
    snapshot: str = "current"
    """Name of the frozen folder of raw payloads; another name fetches anew."""
    permission: str = ""
    """Date or number of the permission, or another ground, on which a source without an open licence is used."""
    optional: bool = False
    """True: left out, and said so, while the permission it needs or the file it is read from is missing."""
    max_epochs: float = Field(4.0, gt=0)
    """How often this source may at most be repeated in the mixture."""
    validation_fraction: float | None = Field(None, ge=0, lt=0.5)
    """None: `[mixture] validation_fraction`; 0: none of it is held out, but for what says the same as held-out text."""
    pack: Literal["best-fit", "timeline"] = "best-fit"
    """`timeline`: documents of one subject follow each other in time, as far as rows hold them."""
    buckets: BucketsSection | None = None
    options: dict[str, Any] = {}
    """The loader's own choices."""
    rules: dict[str, dict[str, Any]] = {}
    """Parameters of a rule that differ for this source: `[sources.<id>.rules."quality.words"]`."""


class RuleSection(Section):
    """`[[rules]]`: one rule; the order of the file is the order of application."""

    rule: str
    """Name of `filters/rule.py`, or `module:factory` of the site's own."""
    parameters: dict[str, Any] = {}
    sources: list[str] = []
    """Sources it applies to; empty: all."""


class DedupSection(Section):
    """`[dedup]`: which documents say the same, and which of them stays."""

    bands: int = Field(14, gt=0)
    """MinHash bands; with `rows`, pairs of Jaccard J meet with probability 1-(1-J^rows)^bands."""
    rows: int = Field(8, gt=0)
    ngram: int = Field(5, gt=0)
    """Words in one shingle."""
    jaccard: float = Field(0.8, gt=0, le=1)
    """Least true similarity of a near-duplicate, verified on the texts."""
    seed: int = 1
    drop_abstract_of_full_text: bool = True
    """True: the abstract of an article whose full text is in the corpus leaves."""
    priority: list[str] = []
    """Sources, first one wins a cluster; sources not named follow in recipe order."""
    denylist: str = ""
    """File with one doc_id a line that must not be in the corpus, nor any copy of it."""


class TokenizerSection(Section):
    """`[tokenizer]`: any Hugging Face `tokenizer.json`."""

    file: str
    bos: bool = True
    """Put the tokenizer's begin token before every document."""
    eos: bool = True
    """Put the tokenizer's end token after every document."""
    special: list[str] = []
    """Added tokens of the file that marks of ours become (`[bib_ref]`), one id each; elsewhere they are letters."""


class GroupSection(Section):
    """`[mixture.groups.<name>]`: sources that share one weight by their natural sizes.

    Every group gives the same one of share, tokens and epochs; none of them where `[[mixture.stages]]` give shares.
    """

    share: float | None = Field(None, gt=0)
    """Weight against the other groups; 15, 1 and 4 mean 15:1:4."""
    tokens: int | None = Field(None, gt=0)
    """Effective tokens of the group."""
    epochs: float | None = Field(None, gt=0)
    """Passes over every source of the group."""
    sources: list[str] = Field(min_length=1)


class StageSection(Section):
    """`[[mixture.stages]]`: the groups' shares up to a progress through the corpus."""

    until: float = Field(gt=0, le=1)
    """Progress at which the stage ends; the last one ends at 1."""
    shares: dict[str, float] = Field(min_length=1)
    """Of every group, against each other; 0: none of it in this stage."""
    anneal: bool = False
    """True: shares change linearly, from those of the stage before to these."""


class MixtureSection(Section):
    """`[mixture]`: how much of what, and in which rows."""

    sequence_length: int = Field(gt=1, le=1 << 24)
    """Tokens of one training input; a row holds one more."""
    total_tokens: Annotated[int, Field(gt=0)] | Literal["largest", "natural"] = "largest"
    """Effective tokens; `largest`: the most that no `max_epochs` forbids; `natural`: every source once, no weights but
    those of buckets. Without groups sources get equal shares up to their caps (UniMax)."""
    alpha: float | None = Field(None, ge=0, le=1)
    """Without groups: shares as tokens^alpha in the place of UniMax; 1 natural, 0 equal."""
    seed: int = 0
    validation_fraction: float = Field(0.01, ge=0, lt=0.5)
    """Share of units (patients, versions of one work, else candidate clusters) kept out for validation."""
    rows_per_shard: int = Field(65536, gt=0)
    groups: dict[str, GroupSection] = {}
    stages: list[StageSection] = []
    """Shares that change on the way; none: the groups' own, all along."""


class AlarmSection(Section):
    """`[alarms.sources.<id>]`: shares of one source above which cleaning is worth a look."""

    removed_characters: float | None = Field(None, ge=0, le=1)
    """None: the recipe's `[alarms]`."""
    removed_digits: float | None = Field(None, ge=0, le=1)


class AlarmsSection(Section):
    """`[alarms]`: how much cleaning (PHI apart) may take from a source before `verify`, `show` and report say so."""

    removed_characters: float = Field(MAX_REMOVED_CHARACTERS, ge=0, le=1)
    """Share of the characters as extracted, white space aside."""
    removed_digits: float = Field(MAX_REMOVED_DIGITS, ge=0, le=1)
    sources: dict[str, AlarmSection] = {}


class NetworkSection(Section):
    """`[network]`: how we present ourselves to publishers."""

    contact: str = ""
    """Address in the User-Agent, so that a publisher can reach you; a live source needs one."""
    timeout_seconds: float = Field(60.0, gt=0)
    max_tries: int = Field(5, gt=0)


class ExecutorSection(Section):
    """`[executor]`: where tasks run; never changes a byte of the result."""

    kind: Literal["local"] = "local"
    workers: int = Field(0, ge=0)
    """Tasks at the same time; 0: as many as cores and memory allow."""
    gigabytes_per_worker: float = Field(2.0, gt=0)


class Recipe(Section):
    """A whole recipe."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    description: str
    output: str = "build"
    """Folder or fsspec URL; `--out` overrides."""
    sources: dict[str, SourceSection] = Field(min_length=1)
    rules: list[RuleSection]
    dedup: DedupSection = DedupSection()  # type: ignore[call-arg]  # every field has a default
    tokenizer: TokenizerSection
    mixture: MixtureSection
    alarms: AlarmsSection = AlarmsSection()  # type: ignore[call-arg]
    network: NetworkSection = NetworkSection()  # type: ignore[call-arg]
    routes: dict[str, str] = {}
    """Public host -> address, as `curl --connect-to`; `"*" = "sample"` is the sample world."""
    executor: ExecutorSection = ExecutorSection()  # type: ignore[call-arg]


def shipped() -> list[str]:
    """Names of the recipes that come with medtrove."""
    folder = resources.files("pipelines") / "recipes"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def recipe_path(name: str) -> Path:
    """The file of a shipped recipe's name or of a path; RecipeError names the nearest."""
    if name.endswith(".toml"):
        path = Path(name)
        if path.is_file():
            return path
        raise RecipeError("no such recipe file.", where=name, fix="Give the path of a TOML file, or a shipped name.")
    path = Path(str(resources.files("pipelines"))) / "recipes" / f"{name}.toml"
    if path.is_file():
        return path
    near = difflib.get_close_matches(name, shipped(), n=1)
    raise RecipeError(
        f"no recipe called {name!r}.",
        why=f"Shipped are {', '.join(shipped())}.",
        fix=f"Did you mean {near[0]!r}?" if near else "Give one of these, or the path of a TOML file.",
    )


def load_recipe(name: str) -> Recipe:
    """The checked recipe of a shipped name or a path."""
    path = recipe_path(name)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"not valid TOML: {error}.", where=str(path), fix="Correct the line it names.") from None
    recipe = parse_recipe(table, where=str(path))
    return recipe


def parse_recipe(table: Mapping[str, Any], *, where: str) -> Recipe:
    """The checked recipe of a parsed TOML table; `where` stands in messages."""
    try:
        recipe = Recipe.model_validate(table)
    except ValidationError as error:
        raise RecipeError(
            sentence(error, Recipe), where=where, fix="Correct the recipe; `medtrove plan` checks it."
        ) from None
    _check_names(recipe, where)
    return recipe


def _check_names(recipe: Recipe, where: str) -> None:
    known = list(recipe.sources)

    def check(name: str, place: str) -> None:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise RecipeError(
                f"{place} names the source {name!r}, which [sources] does not have.",
                where=where,
                fix=f"Did you mean {near[0]!r}?" if near else f"Sources are {', '.join(known)}.",
            )

    for group, section in recipe.mixture.groups.items():
        for name in section.sources:
            check(name, f"[mixture.groups.{group}] sources")
    for rule in recipe.rules:
        for name in rule.sources:
            check(name, f"[[rules]] {rule.rule} sources")
    for name in recipe.dedup.priority:
        check(name, "[dedup] priority")
    for name in recipe.alarms.sources:
        check(name, "[alarms.sources]")
    check_mixture(recipe, where)


def resolve_path(path: str, *, base: Path | None = None) -> Path:
    """The local file of a recipe's path: in our packages, absolute, or relative to `base`; RecipeError if missing."""
    if path.startswith(PACKAGE_PREFIX):
        package, _, rest = path.removeprefix(PACKAGE_PREFIX).partition("/")
        found = Path(str(resources.files(package))) / rest
    else:
        found = Path(path) if base is None or Path(path).is_absolute() else base / path
    if not found.exists():
        raise RecipeError(
            f"the file {path!r} is not there.", where=str(found), fix="Correct the path, or put the file there."
        )
    return found
