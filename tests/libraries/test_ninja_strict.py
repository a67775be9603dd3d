"""django-ninja, whose authenticator raises from what PyJWT says."""

from __future__ import annotations

import pytest

from libraries import test_ninja
from libraries.cases import CASES, Cell, NotThere
from libraries.jwts import ISSUER
from libraries.matrix import check

OWN = "ninja.main.NinjaAPI.on_exception: is given an exception of the application's own, raised from nothing"

EXPECTED: dict[str, Cell | NotThere] = test_ninja.EXPECTED | {
    "revoked": Cell("invalid", None, 401, subject=True, said=OWN),
}


@pytest.mark.parametrize("case", CASES)
def test_cell(case: str) -> None:
    check("ninja_strict", EXPECTED, case, ISSUER)
