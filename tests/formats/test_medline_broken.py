"""MEDLINE files with something broken in them: each record that cannot be read is named, and all others are read."""

from __future__ import annotations

import gzip
import io
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from manifests.reasons import REASONS
from scrapers.formats import medline
from scrapers.formats.errors import Unreadable
from scrapers.formats.gunzip import gunzip
from scrapers.formats.medline import Broken, Deleted, MedlineRecord

HEAD = (
    '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle, 1st January'
    ' 2019//EN" "https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_190101.dtd">\n'
)


NESTED = ("<ReferenceList><Title>5</Title></ReferenceList>", "")


def article(number: int, *, before: str = "", after: str = "", text: str = "") -> str:
    return (
        f'  <PubmedArticle>{before}\n    <MedlineCitation Status="MEDLINE">\n      <PMID Version="1">{number}</PMID>\n'
        f"      <Article><ArticleTitle>Trial {number}.</ArticleTitle><Abstract><AbstractText>Dose {number} mg &lt; "
        f"10<sup>{number}</sup> {text}</AbstractText></Abstract><AuthorList CompleteYN='Y'><Author><LastName>Doe"
        f"{number}</LastName></Author></AuthorList><Language>eng</Language></Article>\n    </MedlineCitation>\n    "
        "<PubmedData><History><PubMedPubDate PubStatus='pubmed'><Year>2021</Year></PubMedPubDate></History>"
        f"<ArticleIdList><ArticleId IdType='doi'>10.1/{number}</ArticleId></ArticleIdList><ReferenceList><Reference>"
        f"<ArticleIdList><ArticleId IdType='doi'>10.9/other</ArticleId></ArticleIdList></Reference>{NESTED[number % 2]}"
        f"</ReferenceList><ReferenceList><Title>R</Title></ReferenceList></PubmedData>{after}\n  </PubmedArticle>\n"
    )


def file_of(*articles: str, head: str = HEAD, tail: str = "") -> bytes:
    return f"{head}<PubmedArticleSet>\n{''.join(articles)}{tail}</PubmedArticleSet>\n".encode()


def gathered(items: Iterator[Any]) -> tuple[list[Any], str]:
    """(what came, the reason why no more came)."""
    found: list[Any] = []
    try:
        # `extend` keeps what came before the error.
        found.extend(items)
    except Unreadable as error:
        return found, error.reason
    return found, ""


def read(data: bytes) -> tuple[list[MedlineRecord | Deleted | Broken], str]:
    """What `parse` gives of `data`; what `identities` gives must be the same records."""
    found, stopped = gathered(medline.parse(io.BytesIO(data)))
    named, also_stopped = gathered(medline.identities(io.BytesIO(data)))
    assert [(one.pmid, one.version) for one in found] == [(one.pmid, one.version) for one in named]
    assert stopped == also_stopped
    return found, stopped


def outcome(data: bytes) -> tuple[list[str], str]:
    found, stopped = read(data)
    return [f"{one.pmid}!{one.reason}" if isinstance(one, Broken) else one.pmid for one in found], stopped


def good(number: int) -> MedlineRecord:
    (found,), _ = read(file_of(article(number)))
    assert isinstance(found, MedlineRecord)
    return found


def test_blocks_that_are_not_read_do_not_change_a_record() -> None:
    record = good(7)
    assert record.text == "# Trial 7.\n\nDose 7 mg < 10^7"
    assert (record.doi, record.language) == ("10.1/7", "en")


TWO, FOUR = article(2), article(4)
BREAKS: dict[str, tuple[str, list[str]]] = {
    "a tag that is not closed": (article(3, text="<i>x"), ["3!extract.corrupt"]),
    "an end without a start": (article(3, text="x</i>"), ["3!extract.corrupt"]),
    "a bare ampersand": (article(3, text="a & b"), ["3!extract.corrupt"]),
    "a bare comparator": (article(3, text="p < 0.05"), ["3!extract.corrupt"]),
    "an unknown entity": (article(3, text="&nowhere;"), ["3"]),
    "a known entity": (article(3, text="&alpha;"), ["3"]),
    "a prefix nobody declares": (article(3, text="<q:x/>"), ["3!extract.corrupt"]),
    "a control character": (article(3, text="\x00"), ["3!extract.corrupt"]),
    "no PMID": (article(3).replace('<PMID Version="1">3</PMID>', ""), ["!extract.bad_record"]),
    "an empty PMID": (article(3).replace(">3</PMID>", "> </PMID>"), ["!extract.bad_record"]),
    "two citations": (
        (article(3) + article(5)).replace("</PubmedArticle>\n  <PubmedArticle>", ""),
        ["3!extract.bad_record"],
    ),
    "no citation": ("<PubmedArticle/>", ["!extract.bad_record"]),
    "no end": (article(3).replace("</PubmedArticle>", ""), ["3!extract.corrupt"]),
    "an end too many": (article(3) + "</PubmedArticle>", ["3", "!extract.corrupt"]),
    "text between records": (article(3) + "Service unavailable", ["3", "!extract.corrupt"]),
    "a start that is misspelt": (article(3).replace("<PubmedArticle>", "<PubmedArtcle>"), ["!extract.corrupt"]),
    "an author list without end": (article(3).replace("</AuthorList>", ""), ["3!extract.corrupt"]),
    "too deep": (article(3, text="<i>" * 400 + "</i>" * 400), ["3!extract.unsafe"]),
    "comments that look like tags": (article(3, before="<!-- </PubmedArticle> <PMID>9</PMID> -->"), ["3"]),
    "an instruction": (article(3, after="<?pmcsd ?>"), ["3"]),
    "a section of characters": (article(3, text="<![CDATA[ </PubmedArticle><AuthorList> 5 ]]>"), ["3"]),
    "a comment between records": ("<!-- <PubmedArticle> -->" + article(3), ["3"]),
    "a list of authors among the references": (article(3, after="<X><AuthorList/></X>"), ["3"]),
}


@pytest.mark.parametrize("what", BREAKS)
def test_a_broken_record_costs_itself_alone(what: str) -> None:
    broken, expected = BREAKS[what]
    data = file_of(TWO, broken, FOUR, tail="<DeleteCitation><PMID Version='2'>9</PMID></DeleteCitation>")
    assert outcome(data) == (["2", *expected, "4", "9"], "")
    found, _ = read(data)
    assert [found[0], found[-2], found[-1]] == [good(2), good(4), Deleted("9", 2)]


def test_what_an_entity_or_a_section_holds_is_text() -> None:
    (known, section), _ = read(file_of(article(3, text="&alpha; 5"), article(4, text="<![CDATA[<5 & 6>]]>")))
    assert isinstance(known, MedlineRecord)
    assert isinstance(section, MedlineRecord)
    assert known.abstract == "Dose 3 mg < 10^3 α 5"
    assert section.abstract == "Dose 4 mg < 10^4 <5 & 6>"


def test_a_prefix_that_only_the_root_declares_is_known() -> None:
    data = file_of(article(3, text="<m:math><m:mn>5</m:mn></m:math>"))
    declared = data.replace(
        b"<PubmedArticleSet>", b"<PubmedArticleSet xmlns:m='http://www.w3.org/1998/Math/MathML'>", 1
    )
    (record,), _ = read(declared)
    assert isinstance(record, MedlineRecord)
    assert record.abstract == "Dose 3 mg < 10^3 5"


def test_another_encoding_is_read_as_declared() -> None:
    text = file_of(article(3, text="\u00c3\u00a9 \u00b5g")).decode().replace('"utf-8"', '"iso-8859-1"')
    (record,), _ = read(text.encode("latin-1"))
    assert isinstance(record, MedlineRecord)
    assert record.abstract == "Dose 3 mg < 10^3 \u00c3\u00a9 \u00b5g"


def test_files_laid_end_to_end_are_read_through() -> None:
    assert outcome(file_of(TWO) + file_of(FOUR)) == (["2", "4"], "")


@pytest.mark.parametrize(
    ("data", "pmids"),
    [
        (article(2).encode(), ["2"]),
        (HEAD.encode() + b"<DeleteCitation><PMID>5</PMID></DeleteCitation>", ["5"]),
        (b"\xef\xbb\xbf" + file_of(TWO), ["2"]),
        (file_of(), []),
    ],
)
def test_small_files(data: bytes, pmids: list[str]) -> None:
    assert outcome(data) == (pmids, "")


def test_a_file_that_ends_early_says_so_after_its_records() -> None:
    whole = file_of(TWO, FOUR)
    ended = whole.index(b"</PubmedArticleSet>")
    assert outcome(whole[:ended]) == (["2", "4"], "extract.corrupt")
    inside = whole.index(b"Trial 4")
    assert outcome(whole[:inside]) == (["2", "4!extract.corrupt"], "extract.corrupt")


def test_a_list_of_deletions_that_is_broken_is_told() -> None:
    data = file_of(TWO, tail="<DeleteCitation><PMID>5</PMID><PMID>6</DeleteCitation>")
    assert outcome(data) == (["2", "!extract.corrupt"], "")


def test_a_record_beyond_the_limit_costs_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    from scrapers.formats import medline_cut

    original: Callable[..., object] = medline_cut.cuts
    monkeypatch.setattr(medline, "cuts", lambda stream: original(stream, max_bytes=1 << 19))
    endless = article(3).replace("</PubmedArticle>", "x" * (1 << 20))
    found, stopped = outcome(file_of(TWO, endless, FOUR))
    assert found[0] == "2"
    assert "3!extract.too_large" in found
    assert (found[-1], stopped) == ("4", "")


def test_no_message_quotes_a_record() -> None:
    data = file_of(*(broken for broken, _ in BREAKS.values()))
    for one in read(data)[0]:
        assert not isinstance(one, Broken) or not {"Dose", "Trial", "Doe"} & set(one.detail.replace(".", " ").split())


def mutated(data: bytes, chance: random.Random) -> bytes:
    """`data` with one thing changed: a byte, a stretch gone, moved, doubled, or a tag altered."""
    kind = chance.randrange(6)
    at = chance.randrange(len(data))
    upto = min(len(data), at + chance.choice((1, 3, 40, 700, 3000)))
    if kind == 0:
        return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
    if kind == 1:
        return data[:at] + data[upto:]
    if kind == 2:
        return data[:upto] + data[at:upto] + data[upto:]
    if kind == 3:
        other = chance.randrange(len(data))
        return data[:at] + data[other : other + upto - at] + data[upto:]
    if kind == 4:
        tag = data.find(b"<", at)
        return (
            data
            if tag < 0
            else data[:tag] + chance.choice((b"<<", b"", b"<!", b"<!--", b"</", b"<?")) + data[tag + 1 :]
        )
    return data[:at]


def test_two_thousand_mutations_never_crash_and_cost_few_records() -> None:
    chance = random.Random(4)
    numbers = range(100, 130)
    data = file_of(*(article(n) for n in numbers), tail="<DeleteCitation><PMID>9</PMID></DeleteCitation>")
    whole = {str(n): good(n) for n in numbers}
    told: Counter[str] = Counter()
    for _ in range(2000):
        changed = mutated(data, chance)
        found, stopped = read(changed)
        records = [one for one in found if isinstance(one, MedlineRecord)]
        broken = [one for one in found if isinstance(one, Broken)]
        assert not stopped or stopped in REASONS
        assert all(one.reason in REASONS for one in broken)
        unchanged = {one.pmid for one in records if whole.get(one.pmid) == one}
        if len(unchanged) < len(numbers) and changed != data:
            # Whatever of a record is still there, its loss is told.
            gone = {n for n in whole.keys() - {one.pmid for one in records} if f">{n}</PMID>".encode() in changed}
            assert not gone or broken or stopped or any(one.pmid not in whole for one in records)
        told.update(one.reason for one in broken)
        told["stopped"] += bool(stopped)
        # The change is one stretch of at most 3,000 bytes, three records; only a cut file, or a comment that opens
        # and never ends, loses more.
        if not stopped and b"<!--" not in changed:
            assert len(unchanged) >= len(numbers) - 7
    assert told["extract.corrupt"] > 300
    assert told["stopped"] > 100


def test_damaged_compression_gives_what_came_before() -> None:
    chance = random.Random(5)
    data = file_of(*(article(n) for n in range(200)))
    packed = gzip.compress(data)
    for _ in range(60):
        at = chance.randrange(20, len(packed))
        damaged = packed[:at] if chance.random() < 0.5 else packed[:at] + b"\x00\xff" + packed[at + 2 :]
        found, stopped = gathered(medline.parse(gunzip(io.BytesIO(damaged))))
        assert stopped in REASONS
        read_well = [one.pmid for one in found if isinstance(one, MedlineRecord)]
        assert read_well == [str(n) for n in range(len(read_well))]
