"""What the prose of an article's permissions says of its licence, in the words of publishers.

It is read against the reader: whatever sounds like a restriction is one, unless it is one of the few phrases that are
known to allow. The wordings are those that publishers use in English, and their counterparts in Portuguese, Spanish,
French, German and Italian.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from manifests import licence_wordings as wordings
from manifests.licence_statements import CC_CODE, Terms, of_code, of_url, tidy
from manifests.licence_wordings import fold

_SENTENCE = re.compile(r"(?<=[.;!?])\s+(?=[\w\u00a9\"(])|(?<=[a-z)]\.)(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Prose:
    """All prose of one article's permissions, read."""

    terms: Terms
    urls: tuple[Terms, ...]
    """What the addresses written out in it say."""
    data_waiver: bool
    """CC0 is given for data, figures or the like: it says nothing about the article."""
    of_parts_only: bool
    """Every mention of a Creative Commons licence is about a figure, the data or the like."""
    without: str
    """What an article without any licence says of itself: a `LicenseRef-...` or `unknown`."""


def read_prose(texts: Sequence[str]) -> Prose:
    """What the prose of an article's permissions says."""
    prose = tidy(" ".join(texts))
    folded = fold(prose)
    if "creativecommon" in folded and wordings.BROKEN_URL.search(folded):
        prose = _joined(prose, folded)
        folded = fold(prose)
    # Sentences begin with a capital, so they are told before the case is folded.
    sentences = [fold(part) for part in _SENTENCE.split(prose) if part]
    waiver = of_parts_only = False
    if wordings.NOT_THE_ARTICLE.possible(folded):
        about_parts = [one for one in sentences if wordings.NOT_THE_ARTICLE.said(one)]
        waiver = any(wordings.WAIVER.said(one) for one in about_parts)
        about_parts = [one for one in about_parts if wordings.CC.said(one)]
        others = (one for one in sentences if one not in about_parts)
        of_parts_only = bool(about_parts) and not any(wordings.CC.said(one) for one in others)
    found = wordings.URL_IN_TEXT.finditer(folded) if "creativecommon" in folded else ()
    urls = tuple(terms for url in found if (terms := of_url(prose[url.start() : url.end()])).known)
    reserved = wordings.RESERVED.said(folded)
    return Prose(
        terms=_terms(folded, sentences, waiver=waiver),
        urls=urls,
        data_waiver=waiver,
        of_parts_only=of_parts_only and reserved,
        without=_without_licence(folded, reserved=reserved),
    )


def _joined(prose: str, folded: str) -> str:
    """`prose` with its addresses whole again: `by- nc` is `by-nc`."""
    kept: list[str] = []
    last = 0
    for found in wordings.BROKEN_URL.finditer(folded):
        kept += (prose[last : found.end(1)], prose[found.start(2) : found.end(2)])
        last = found.end()
    return "".join((*kept, prose[last:]))


def _terms(prose: str, sentences: list[str], *, waiver: bool) -> Terms:
    if not prose:
        return Terms()
    for name, named in wordings.NAMED:
        if named.said(prose):
            return Terms(named=name)
    own = _own(prose, sentences)
    codes = [terms for found in CC_CODE.finditer(prose) if (terms := of_code(found[1])).by] if "cc" in prose else []
    by = bool(codes) or wordings.BY.said(prose)
    if not by and wordings.ACS.said(prose):
        return Terms(named="ACS-AuthorChoice")
    nc = _forbids_commerce(prose, sentences) or any(terms.nc for terms in codes)
    nd = wordings.ND.said(wordings.ND_HARMLESS.taken_out(own)) or any(terms.nd for terms in codes)
    sa = wordings.SA.said(prose) or any(terms.sa for terms in codes)
    if not (nc or nd) and wordings.RESTRICTIVE.said(own):
        return Terms(named="restrictive-terms")
    if by or (nc and wordings.CREATIVE_COMMONS.search(prose)):
        # The version belongs to the licence that is named; a restriction said elsewhere makes it another licence.
        named_nc = not nc or any(terms.nc for terms in codes) or wordings.NAMED_NC.said(prose)
        versions = set(wordings.PROSE_VERSION.findall(prose)) if named_nc else set()
        return Terms(by=True, nc=nc, nd=nd, sa=sa and not nd, version=versions.pop() if len(versions) == 1 else "")
    if nc:
        return Terms(named="noncommercial")
    if nd:
        return Terms(named="no-derivatives")
    if not waiver and wordings.CC0.said(prose):
        return Terms(cc0=True)
    return Terms()


def _own(prose: str, sentences: list[str]) -> str:
    """What the prose says of the article itself."""
    if not wordings.OF_OTHERS.possible(prose):
        return " ".join(sentences) + " "
    own = " ".join(one for one in sentences if not wordings.OF_OTHERS.said(one))
    permitted = (one for one in sentences if wordings.PERMITTED_FURTHER.said(one))
    return own + " " + " ".join(map(wordings.PERMITTED_FURTHER.taken_out, permitted))


def _forbids_commerce(prose: str, sentences: list[str]) -> bool:
    """True unless every mention of commerce is one that allows it."""
    if wordings.NC.said(prose):
        return True
    if not wordings.COMMERCE.possible(prose):
        return False
    for sentence in sentences:
        rest = wordings.COMMERCE_ALLOWED.taken_out(sentence)
        if wordings.COMMERCE.said(rest) or (rest != sentence and wordings.NEGATED.search(sentence)):
            return True
    return False


def _without_licence(prose: str, *, reserved: bool) -> str:
    if wordings.GOVERNMENT.said(prose):
        # Free in one country, and often for some of the authors only: not clearly allowed everywhere.
        return "LicenseRef-government-terms"
    return "LicenseRef-all-rights-reserved" if reserved else "unknown"
