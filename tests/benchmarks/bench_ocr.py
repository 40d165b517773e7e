"""What the OCR engine does to numbers, by how bad a scan is: `python tests/benchmarks/bench_ocr.py`.

Made pages dense in doses and limits are drawn, spoilt (resolution, skew, blur, noise, JPEG) and read. Recall (R) and
precision (P) are of the multiset of numbers and of comparators against the text layer; confidence and pixels a letter
are what `pdf_ocr.LEAST_CONFIDENCE` and `LEAST_WIDTH` are compared with. Needs the extra `ocr`.
"""

from __future__ import annotations

import io
import random
import re
import time
from collections import Counter
from importlib.util import find_spec
from typing import Any

import numpy as np

NUMBER, COMPARATOR = re.compile(r"\d+(?:[.,]\d+)*"), re.compile(r"[<>=\xb1]")
UNITS = ("mg", "mg/kg", "\xb5g", "\xb5g/kg/min", "mL", "mmHg", "mmol/L", "g/dL", "IU", "%", "kg", "ng/mL")
DRUGS = ("metformin", "amoxicillin", "adrenaline", "heparin", "salbutamol", "digoxin", "phenytoin", "oxytocin")
SCANS = (
    # Dots to the inch, skew in degrees, blur in pixels, noise in shades of grey, quality of the JPEG.
    (300, 0.0, 0.0, 0, 95), (200, 0.0, 0.0, 0, 95), (150, 0.0, 0.0, 0, 95), (200, 0.7, 0.7, 14, 35),
    (150, 0.7, 0.7, 14, 35), (100, 0.7, 0.7, 14, 35), (100, 0.7, 1.2, 25, 20), (75, 0.7, 0.7, 14, 35),
)  # fmt: skip
PAGES = 3


def value(rng: random.Random) -> str:
    forms = (f"{rng.randint(1, 999)}", f"{rng.random() * 10:.1f}", f"{rng.random():.2f}", f"{rng.randint(1, 60)},500")
    return rng.choice(forms)


def page(rng: random.Random) -> list[str]:
    return [
        f"Give {rng.choice(DRUGS)} {value(rng)} {rng.choice(UNITS)} every {rng.choice((4, 6, 8))} h if the level is "
        f"{rng.choice('<>=')}{value(rng)} {rng.choice(UNITS)} (\xb1{value(rng)})."
        for _ in range(28)
    ]


def spoilt(picture: Any, skew: float, blur: float, noise: int, quality: int) -> Any:
    from PIL import Image, ImageFilter

    rng = np.random.default_rng(7)
    picture = picture.rotate(skew, resample=Image.Resampling.BICUBIC, fillcolor=255)
    picture = picture.filter(ImageFilter.GaussianBlur(blur)) if blur else picture
    shades = np.asarray(picture, dtype=float) + (rng.normal(0, noise, picture.size[::-1]) if noise else 0)
    out = io.BytesIO()
    Image.fromarray(shades.clip(0, 255).astype("uint8")).save(out, "JPEG", quality=quality)
    return Image.open(out).convert("L")


def scan(data: bytes, dpi: int, *how: Any) -> bytes:
    import pypdfium2

    document: Any = pypdfium2.PdfDocument(data)
    pictures = [spoilt(one.render(scale=dpi / 72, grayscale=True).to_pil().convert("L"), *how) for one in document]
    out = io.BytesIO()
    pictures[0].save(out, "PDF", resolution=dpi, save_all=True, append_images=pictures[1:])
    return out.getvalue()


def kept(pattern: re.Pattern[str], true: str, seen: str) -> str:
    a, b = Counter(pattern.findall(true)), Counter(pattern.findall(seen))
    both = (a & b).total()
    return f"{both / a.total():.4f} / {both / max(1, b.total()):.4f}"


def main() -> None:
    from scrapers.formats import pdf_ocr
    from scrapers.formats.pdf import read_here
    from scrapers.sample.pdf import lines_pdf

    if not find_spec("rapidocr"):
        print("The extra `ocr` is not installed: pip install 'medtrove[ocr]'.")
        return
    rng = random.Random(11)
    data = lines_pdf([page(rng) for _ in range(PAGES)])
    true = read_here(data).text
    pdf_ocr.LEAST_CONFIDENCE = pdf_ocr.LEAST_WIDTH = 0.0
    print("| scan | numbers R / P | comparators R / P | confidence | pixels a letter | doubtful | CPU s/page |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for dpi, *how in SCANS:
        start = time.process_time()
        found = read_here(scan(data, dpi, *how), mode="auto")
        seconds = (time.process_time() - start) / PAGES
        spoils = "clean" if not how[2] else f"skew {how[0]}, blur {how[1]}, noise {how[2]}, JPEG {how[3]}"
        measured = found.measures
        row = [
            f"{dpi} dpi, {spoils}",
            kept(NUMBER, true, found.text),
            kept(COMPARATOR, true, found.text),
            f"{measured['ocr_confidence_lowest']:.3f}",
            f"{measured['ocr_pixels_per_letter_lowest']:.1f}",
            f"{measured['ocr_doubtful_in_numbers']:.0f}",
            f"{seconds:.1f}",
        ]
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
