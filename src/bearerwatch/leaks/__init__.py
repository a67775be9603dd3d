"""Tokens in files at rest: found, said where they are, and replaced where that is wanted.

One way through: ``sources`` says what is read, ``packed`` unpacks it, ``pieces`` cuts it at line ends, ``gate`` says
which lines are worth a look, ``scan`` looks at those with the redaction engine, and ``rewrite`` (a new file in the
old one's place) or ``in_place`` (behind a ``journal``) puts ``marks`` where tokens were. ``reports`` tells of it.
Memory is bounded by the size of a piece, whatever the size of a file or of a line.
"""

from __future__ import annotations

from bearerwatch.leaks.gate import Gate
from bearerwatch.leaks.scan import Leak
from bearerwatch.leaks.sweep import Sweep

__all__ = ["Gate", "Leak", "Sweep"]
