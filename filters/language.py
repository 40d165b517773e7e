"""Language: detect it where there is enough prose to tell, and drop what the recipe does not allow.

Terse clinical lines ("Metformin 500 mg PO BID") look like no language, so a text with few letters is not judged: it
stays, with the language its source declares, or `und`. So does a list of Latin names, however long (`SHORT_WORDS`).
The default detector is py3langid (BSD), which brings its model, restricted to `CANDIDATES`; a fastText model such as
lid.176 is used where the recipe gives its path. Both give the same answer on every run.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from filters.rule import Drop, Keep, Rule, Verdict
from manifests.document import Document
from manifests.errors import RecipeError

_CODES = (
    "ar bg ca cs da de el en es et fa fi fr he hi hr hu id it ja ko lt lv nl no pl pt ro ru sk sl sr sv th tr uk vi zh"
)
CANDIDATES = frozenset(_CODES.split())
"""ISO 639-1 codes the default detector chooses among: languages of medical publishing. Latin is left out on purpose."""

WINDOW = 2000
"""Characters of each of the three samples (start, middle, end) judged of a long text: 6,000 in all."""

_LETTERS = re.compile(r"[^\W\d_]+")
# Lines that say nothing about the language: tables, and what is left of markup.
_TABLE = re.compile(r"^[ \t]*\|.*$", re.MULTILINE)

# Function words that no other Latin-script language spells so. Counting them settles nearly every English text a
# hundred times faster than the detector. Measured on 20,000 real documents: nine of ten English ones reach 0.14, and
# the highest share of one that is not English, a bilingual abstract, is 0.117; Spanish case reports stay below 0.01.
_ENGLISH = (
    " the ",
    " of ",
    " and ",
    " with ",
    " was ",
    " were ",
    " for ",
    " that ",
    " from ",
    " which ",
    " this ",
    " is ",
)
ENGLISH_SHARE = 0.14
"""Share of these among all words from which a text is English without asking the detector."""

SHORT_WORDS = 0.06
"""Share of words of at most three letters below which a text in Latin letters is a list and no prose.

Every language written so glues its sentences with such words. Measured: 170 foreign documents have 0.20 and more, 700
titles in 18 languages 0.08 and more; lists of Latin anatomy and species, which look Romanian, 0.002 at most.
"""

Detect = Callable[[str], tuple[str, float]]


@functools.cache
def _py3langid() -> Detect:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier: Any = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(sorted(CANDIDATES))

    def detect(text: str) -> tuple[str, float]:
        lang, confidence = identifier.classify(text)
        return str(lang), float(confidence)

    return detect


def preload() -> None:
    """Load the bundled detector, so that processes forked from this one need not."""
    _py3langid()


def _fasttext(path: str) -> Detect:
    if not Path(path).is_file():
        raise RecipeError(
            f"the language model {path!r} is not there.",
            fix="Correct model in language.allowed, or remove it to use the detector that comes with medtrove.",
        )
    import fasttext

    try:
        model: Any = fasttext.FastText._FastText(path)
    except ValueError as error:
        raise RecipeError(
            f"{path!r} is not a fastText model: {error}.", fix="Give a .bin or .ftz file, or remove model."
        ) from None

    def detect(text: str) -> tuple[str, float]:
        labels, scores = model.predict(text.replace("\n", " "))
        if not labels:
            return "und", 0.0
        # lid.176 says __label__en; models of the GlotLID family say __label__eng_Latn.
        return labels[0].removeprefix("__label__").split("_")[0], min(float(scores[0]), 1.0)

    return detect


def sample(text: str) -> str:
    """The prose that is judged: tables left out, long texts by their start, middle and end."""
    prose = _TABLE.sub("", text) if "|" in text else text
    if len(prose) <= 3 * WINDOW:
        return prose
    middle = (len(prose) - WINDOW) // 2
    return "\n".join((prose[:WINDOW], prose[middle : middle + WINDOW], prose[-WINDOW:]))


def english_share(text: str) -> float:
    """Share of a few unmistakable English function words among the words of `text`."""
    return sum(map(text.count, _ENGLISH)) / (text.count(" ") + 1)


def short_words(text: str) -> float:
    """Share of words of at most three letters; 1 for a text not in Latin letters, where length says nothing."""
    words = _LETTERS.findall(text)
    n_latin = sum(1 for word in words if word[0] < "\u0250")
    if 2 * n_latin < len(words):
        return 1.0
    return sum(1 for word in words if len(word) <= 3) / max(len(words), 1)


def language_rule(
    *,
    allowed: Sequence[str] = ("en",),
    model: str | None = None,
    min_chars: int = 100,
    min_confidence: float = 0.8,
) -> Rule:
    """Drop a document that is, with `min_confidence`, in a language not in `allowed`.

    `min_chars`: letters below which the text is not judged: then the language that the source declares decides, and
    a text without one stays (terse notes and drug lists look foreign). Of pieces of 100 to 199 letters 6 of 55,777
    English ones left, and 97 % of 3,307 others, most of them Spanish. `min_confidence`: 232 foreign documents were all
    measured above 0.95, tables of plant names below 0.8. `model`: path of a fastText language model.
    """
    if isinstance(allowed, str) or not allowed:
        raise RecipeError(
            f"language.allowed needs a list of languages, not {allowed!r}.", fix='Write for example allowed = ["en"].'
        )
    strangers = sorted(set(allowed) - CANDIDATES)
    if model is None and strangers:
        raise RecipeError(
            f"the default detector does not know the language {strangers[0]!r}.",
            why=f"It chooses among {', '.join(sorted(CANDIDATES))}.",
            fix="Correct allowed, or give the path of a fastText model as model.",
        )
    wanted = frozenset(allowed)
    sure_english = "en" in wanted and model is None
    given = None if model is None else _fasttext(model)

    def rule(document: Document, /) -> Verdict:
        prose = sample(document.text)
        n_letters = sum(map(len, _LETTERS.findall(prose)))
        if n_letters < min_chars:
            if document.lang and document.lang not in wanted:
                return Drop("language.not_allowed", n_letters, min_chars, {"letters": n_letters})
            return Keep({"letters": n_letters}, {"lang": document.lang or "und"}, {"language.not_judged": 1})
        if sure_english:
            share = english_share(prose)
            if share >= ENGLISH_SHARE:
                return Keep({"letters": float(n_letters), "english_share": round(share, 6)}, {"lang": "en"})
        # The default detector takes a second to load, and most sources never need it.
        lang, confidence = (given or _py3langid())(prose)
        measures = {"letters": float(n_letters), "confidence": round(confidence, 6)}
        if lang in wanted:
            return Keep(measures, {"lang": lang})
        if confidence < min_confidence:
            return Keep(measures, {"lang": document.lang or "und"}, {"language.not_sure": 1})
        measures["short_words"] = round(short_words(prose), 6)
        if measures["short_words"] < SHORT_WORDS:
            return Keep(measures, {"lang": document.lang or "und"}, {"language.not_prose": 1})
        return Drop("language.not_allowed", confidence, min_confidence, measures, {"lang": lang})

    return rule


language_rule.version = 3  # type: ignore[attr-defined]
