"""pmc-oa-opendata.s3.amazonaws.com of the sample world: inventory, metadata and XML of each article version.

Planted: licences that a commercial corpus refuses, permissions stricter than the bucket's code, an author manuscript
beside the published version, two retracted articles, an inventory whose newest day is not complete, an XML that
comes damaged the first time.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from scrapers.sample.archives import gzip_stored
from scrapers.sample.jats_xml import jats_file
from scrapers.sample.literature import ARTICLES, Article, article
from scrapers.sample.tree import Tree

HOST = "pmc-oa-opendata.s3.amazonaws.com"
BUCKET = "pmc-oa-opendata"
INVENTORY = f"inventory-reports/{BUCKET}/metadata"
DAYS = ("2026-09-30T01-00Z", "2026-10-01T01-00Z")

_PAIRED = (0, 5, 9)
_MANUSCRIPT, _RETRACTED, _RETRACTED_LATER, _CC0, _CONFLICT, _DAMAGED_ONCE = 4, 6, 12, 15, 18, 20
_REFUSED: dict[int, str | None] = {23: "CC BY-NC", 26: "CC BY-NC-ND", 29: "TDM", 33: None}


def paired_articles(seed: int) -> list[Article]:
    """Articles whose abstract is a PubMed record too."""
    return [article(seed, n) for n in _PAIRED]


def write_pmc(world: Path, seed: int) -> dict[str, Any]:
    """Write the bucket; returns what was planted."""
    tree = Tree(world, HOST)
    tree.put("/robots.txt", "User-agent: *\nDisallow:\n")
    rows: list[tuple[str, str]] = []
    for version, permissions in _versions(seed):
        data = jats_file(version, permissions_code=permissions)
        name = f"{version.pmcid}.{version.version}"
        metadata = _metadata(version, _md5(data))
        for path, content in ((f"/{name}/{name}.xml", data), (f"/metadata/{name}.json", metadata)):
            tree.put(path, content)
        rows.append((f"metadata/{name}.json", _md5(metadata)))
    made = {n: article(seed, n).pmcid for n in range(ARTICLES)}
    damaged = f"{made[_DAMAGED_ONCE]}.1"
    tree.fault(f"/{damaged}/{damaged}.xml", {"body": "<Error><Code>InternalError</Code></Error>"})
    _inventory(tree, sorted(rows))
    tree.close()
    return {
        "retracted": [f"pmc:{made[_RETRACTED]}", f"pmc:{made[_RETRACTED_LATER]}"],
        "refused_licences": {made[n]: code for n, code in _REFUSED.items()},
        "stricter_permissions": [f"pmc:{made[_CONFLICT]}"],
    }


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _versions(seed: int) -> list[tuple[Article, str | None]]:
    """(version, licence that its own permissions state if not the bucket's)."""
    found: list[tuple[Article, str | None]] = []
    for n in range(ARTICLES):
        made = article(seed, n)
        if n in _REFUSED:
            found.append((replace(made, licence_code=_REFUSED[n]), None))
        elif n == _MANUSCRIPT:
            # The published version (.2) counts, not the author's manuscript, although both are CC BY.
            draft = replace(made, manuscript=True, title=f"{made.title.rstrip('.')}, submitted version.")
            found += [(draft, None), (replace(made, version=2), None)]
        elif n == _RETRACTED:
            found.append((replace(made, retracted=True), None))
        elif n == _RETRACTED_LATER:
            found += [(made, None), (replace(made, version=2, retracted=True), None)]
        elif n == _CC0:
            found.append((replace(made, licence_code="CC0"), None))
        else:
            found.append((made, "CC BY-NC" if n == _CONFLICT else None))
    return found


def _metadata(version: Article, md5: str) -> bytes:
    name = f"{version.pmcid}.{version.version}"
    return (
        json.dumps(
            {
                "pmcid": version.pmcid,
                "version": version.version,
                "pmid": int(version.pmid),
                "doi": version.doi,
                "title": version.title,
                "citation": f"{version.journal}. {version.year}",
                "is_pmc_openaccess": True,
                "is_manuscript": version.manuscript,
                "is_historical_ocr": False,
                "is_retracted": "yes" if version.retracted else False,
                "license_code": version.licence_code,
                "mid": None,
                "xml_url": f"s3://{BUCKET}/{name}/{name}.xml?md5={md5}",
                "text_url": None,
                "pdf_url": None,
                "media_urls": [],
            },
            indent=1,
        ).encode()
        + b"\n"
    )


def _inventory(tree: Tree, rows: list[tuple[str, str]]) -> None:
    """Two files of the inventory, the manifest of the older day, and the listing that also names the newer."""
    files = []
    for number, part in enumerate((rows[::2], rows[1::2])):
        csv = "".join(f'"{BUCKET}","{key}","2026-01-08T11:47:59.000Z","{etag}"\n' for key, etag in part).encode()
        data = gzip_stored(csv)
        key = f"{INVENTORY}/data/0000000{number}-aaaa-4bbb-8ccc-dddddddddddd.csv.gz"
        tree.put(f"/{key}", data)
        files.append({"key": key, "size": len(data), "MD5checksum": _md5(data)})
    manifest = {
        "sourceBucket": BUCKET,
        "destinationBucket": f"arn:aws:s3:::{BUCKET}",
        "version": "2016-11-30",
        "creationTimestamp": "1790730000000",
        "fileFormat": "CSV",
        "fileSchema": "Bucket, Key, LastModifiedDate, ETag",
        "files": files,
    }
    tree.put(f"/{INVENTORY}/{DAYS[0]}/manifest.json", json.dumps(manifest, indent=1))
    prefixes = "".join(
        f"<CommonPrefixes><Prefix>{INVENTORY}/{name}/</Prefix></CommonPrefixes>" for name in (*DAYS, "data", "hive")
    )
    listing = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{BUCKET}</Name><Prefix>{INVENTORY}/</Prefix><KeyCount>4</KeyCount><MaxKeys>1000</MaxKeys>"
        f"<Delimiter>/</Delimiter><IsTruncated>false</IsTruncated>{prefixes}</ListBucketResult>"
    )
    tree.put(f"/?list-type=2&prefix={INVENTORY}/&delimiter=/", listing, content_type="application/xml")
