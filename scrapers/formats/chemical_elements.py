"""Raised numbers that belong to the symbol after them: mass numbers of nuclides, and degrees.

Symbols and protons are those of the IUPAC periodic table (118 elements), and deuterium.
"""

from __future__ import annotations

import re

_ORDER = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo Tc
Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi
Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
"""

ELEMENTS = {symbol: protons for protons, symbol in enumerate(_ORDER.split(), start=1)}
ELEMENTS["D"] = 1

_MASS = re.compile(r"(\d{1,3})(?:m\d?)?")
_SYMBOL = re.compile(r"[A-Z][a-z](?![a-z])|[A-Z]{2}(?![A-Za-z])|[A-Z](?![A-Za-z])")
# A control character stands where a lowered text begins.
_LOWERED_SOON = re.compile(r"(?:[A-Z][a-z]?)+[\x01-\x08\d]")
_DEGREES = re.compile(r"[CFK](?![A-Za-z])")


def joins_symbol(raised: str, following: str) -> bool:
    """Whether a raised text belongs to the symbol after it: `99m` to `Tc`, `o` to `C`, but no `2` to `DNA`.

    A mass number lies between 1.5 and 3 times the protons of its element; hydrogen has 1 too.
    """
    if raised in ("o", "O", "0"):
        return _DEGREES.match(following) is not None
    if raised == "m":
        return following.startswith("Tc")
    number, symbol = _MASS.fullmatch(raised), _SYMBOL.match(following)
    if number is None or symbol is None:
        return False
    protons, mass = ELEMENTS.get(symbol[0].capitalize(), 0), int(number[1])
    if protons and (1.5 * protons <= mass <= 3 * protons or protons == mass == 1):
        return True
    # `CO` is carbon with oxygen, and `60CO` cobalt.
    protons = ELEMENTS.get(following[0], 0) if len(symbol[0]) == 2 and symbol[0].isupper() else 0
    return protons > 1 and 1.5 * protons <= mass <= 3 * protons and _LOWERED_SOON.match(following) is not None
