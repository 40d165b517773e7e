"""Damaged and rearranged articles: text or Unreadable, never another error, and no number lost that still stands.

Every number of the article is another one, so a loss is seen wherever it happens.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest
from lxml import etree

from scrapers.formats import jats
from scrapers.formats.errors import Unreadable
from scrapers.formats.jats_removed import REMOVED_ELEMENTS, removed_by_type

_ARTICLE = """
<article xmlns:m="http://www.w3.org/1998/Math/MathML" xml:lang="en"><front><article-meta>
<title-group><article-title>Dose #</article-title></title-group>
<abstract><sec><title>Aim</title><p>To give # mg.</p></sec>
<sec><title>Result</title><p>It took # of # h.</p></sec></abstract>
</article-meta></front><body>
<sec sec-type="intro"><label>#</label><title>Start</title><p>At # mg <italic>and # ml</italic>, 10<sup>-#</sup> of
<sub>#</sub> <xref ref-type="fig">Fig. #</xref>; <named-content>about # kg</named-content>.</p>
<list><title>Steps</title><list-item><label>#.</label><p>Give # mg</p>
<list><list-item><p>then # mg</p></list-item></list>
</list-item></list><p>Before <disp-formula><m:math><m:mfrac><m:mn>#</m:mn><m:msup><m:mi>x</m:mi><m:mn>#</m:mn></m:msup>
</m:mfrac></m:math><label>(#)</label></disp-formula> after # h.</p></sec>
<sec><title>Doses</title><table-wrap><label>Table #</label><caption><title>Doses #</title><p>of # men</p></caption>
<table><thead><tr><th rowspan="2">Drug #</th><th colspan="2"># mg</th></tr><tr><th>#</th><th>#</th></tr></thead>
<tbody><tr><td>#</td><td>#<xref ref-type="table-fn">a</xref></td><td># <bold>of</bold> #</td></tr></tbody></table>
<table-wrap-foot><fn><label>a</label><p>after # h</p></fn></table-wrap-foot></table-wrap>
<boxed-text><caption><title>Box #</title></caption><p>Of # and #.</p></boxed-text>
<fig><label>Fig. #</label><caption><p>At # mg.</p></caption><graphic/></fig>
<def-list><def-item><term>T#</term><def><p>in # h</p></def></def-item></def-list>
<disp-quote><p># of #</p><attrib>page #</attrib></disp-quote></sec></body>
<back><app-group><app><title>Appendix</title><p>With # mg.<fn><p>Or # mg.</p></fn></p></app></app-group>
<glossary><def-list><def-item><term>BP</term><def><p>above #</p></def></def-item></def-list></glossary></back>
<floats-group><fig><caption><p>Late # mg.</p></caption></fig></floats-group></article>
"""
_ATTRIBUTES = ("ref-type", "sec-type", "fn-type", "abstract-type", "rowspan", "colspan", "list-type")
_VALUES = ("fig", "sec", "0", "-1", "9999999", "1e9", "", "two", "\u0662", "\u00b2", "graphical")
_ONE_ONLY = frozenset({"alternatives", "block-alternatives"})
_LEAVE = frozenset(REMOVED_ELEMENTS) | _ONE_ONLY


def article() -> Any:
    numbers = iter(range(1001, 9999))
    return etree.fromstring(re.sub("#", lambda _: str(next(numbers)), _ARTICLE))


def mutate(root: Any, chance: random.Random) -> None:
    elements = [element for element in root.iterdescendants() if element.tag not in ("article-meta", "front")]
    tags = sorted({element.tag for element in elements} - {"article-title", "title-group"})
    for _ in range(chance.choice((1, 3, 10, 40))):
        element, other = chance.choice(elements), chance.choice(elements)
        parent = element.getparent()
        if parent is None:
            continue
        match chance.randrange(6):
            case 0:
                parent.remove(element)
            case 1:
                parent.insert(chance.randint(0, len(parent)), copy.deepcopy(element))
            case 2 if other is not element and element not in other.iterancestors():
                other.insert(chance.randint(0, len(other)), element)
            case 3:
                element.set(chance.choice(_ATTRIBUTES), chance.choice(_VALUES))
            case 4:
                element.tag = chance.choice(tags)
            case 5:
                wrapper = etree.SubElement(parent, chance.choice(tags))
                wrapper.append(element)
            case _:
                pass


def kept(root: Any) -> Iterator[str]:
    """The numbers that stand where the reader reads: in the abstract, body, back matter and floats of `root`."""
    places = [
        *root.iterfind("front/article-meta/abstract"),
        *(child for name in ("body", "back", "floats-group") for child in root.findall(name)[:1]),
    ]
    for place in places:
        yield from _numbers(place)


def _numbers(element: Any) -> Iterator[str]:
    reason = removed_by_type(element.get("sec-type")) or removed_by_type(element.get("fn-type"))
    if element.tag in _LEAVE or reason or element.get("ref-type") in ("bibr", "fn", "ref"):
        return
    yield from re.findall(r"\d{4}", element.text or "")
    for child in element:
        yield from _numbers(child)
        yield from re.findall(r"\d{4}", child.tail or "")


def heading_only(root: Any) -> set[str]:
    """Numbers in titles and labels that name nothing: what they stand over is gone, and they may go with it."""
    return {
        number
        for element in root.iter("title", "label", "caption")
        for number in re.findall(r"\d{4}", "".join(element.itertext()))
    }


@pytest.mark.parametrize("seed", range(0, 400, 50))
def test_rearranged_articles_lose_no_number(seed: int) -> None:
    for number in range(seed, seed + 50):
        root = article()
        mutate(root, random.Random(number))
        data = etree.tostring(root)
        # A heading may leave when nothing is left below it, and only then.
        wanted = set(kept(root)) - heading_only(root)
        text = jats.parse(data)[0].text
        assert wanted <= set(re.findall(r"\d{4}", text)), number


def test_cut_and_damaged_files_are_unreadable_or_text() -> None:
    data = etree.tostring(article())
    chance = random.Random(5)
    read = refused = 0
    for _ in range(600):
        damaged = bytearray(data)
        if chance.random() < 0.3:
            del damaged[chance.randrange(len(damaged)) :]
        for _ in range(chance.randrange(4)):
            if damaged:
                damaged[chance.randrange(len(damaged))] = chance.choice(b"<>&;/ \"'a\x00\xff\xc3])")
        try:
            jats.parse(bytes(damaged), chance.choice(("drop", "keep", "bib_ref")))
            read += 1
        except Unreadable:
            refused += 1
    assert read > 50
    assert refused > 50
