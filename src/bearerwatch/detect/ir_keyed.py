"""What windows cannot say: something never seen before, a place too far away, more than usual, or nothing at all.

Four kinds of rule that ask for a key's own past. What they share:

* Time is cut into *panes* of ``settle`` seconds, counted from 1970. A *sighting* is a key, or a value of a key, in a
  pane; all selected events of it are one. An anchor is a selected event of a sighting for which the rule holds.
* The past of pane ``q`` ends with pane ``q - 2``. An event that comes no more than ``settle`` seconds late therefore
  never changes what was concluded of others: nothing told has to be taken back, and nothing has to wait.
* A *life* is a run of sightings no more than ``memory`` seconds apart. After a longer pause everything is new again,
  which bounds what must be remembered.
* The past may be kept under another key than the alert's: under ``learn`` where those fields are known, so that what
  is learned of a person outlives an hour's token.

No dialect and no clock is in here, as in :mod:`~bearerwatch.detect.ir`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bearerwatch.detect.ir import Selection

__all__ = ["Baseline", "FirstSeen", "Keyed", "Learned", "Silence", "Travel"]


@dataclass(frozen=True, slots=True)
class Learned:
    """When a past says enough to be compared with."""

    by: tuple[str, ...]
    """Fields whose values the past is kept under where all are known; else it is the key of the alert."""
    sightings: int
    """Panes it must have been seen in, in this life, before it counts as known."""
    alone: int
    """As many it must be if the user agent is no news with it: one program on one device hardly has two holders, but
    its user may turn on a VPN."""
    span: int
    """Seconds since the first of them."""
    most: int
    """New values in one life (the first ones included) from which on another is no news: one who is everywhere."""
    memory: int
    """Seconds after which what was not seen again is forgotten."""


@dataclass(frozen=True, slots=True)
class FirstSeen:
    """A value that a known key never had before.

    A sighting of key, values and pane ``q`` holds when the key is known, the first of ``fields`` is known and new, and
    every other of ``fields`` is new or unknown. A value is new in the first two panes of its life. ``n`` is how many
    panes of its past the key was seen in.
    """

    selection: Selection
    group_by: tuple[str, ...]
    seconds: int
    """Within which two hits are one episode."""
    fields: tuple[str, ...]
    learned: Learned
    settle: int


@dataclass(frozen=True, slots=True)
class Travel:
    """One key in two places between which nobody can have travelled in the time.

    A place is a country, a network (ASN) and coordinates to whole degrees. Two sightings of one key, the earlier in
    pane ``p``, the later in ``q``, at most ``seconds`` apart, are impossible when countries and networks both differ
    (a network that is not known differs), neither network is one of ``elsewhere``, and the great circle between them
    less ``uncertainty`` is at least ``kilometres``, and longer than ``speed`` allows in ``q - p + 1`` panes; where the
    coordinates of one are not known, two countries are too far apart for ``q - p <= 1``, and ``n`` is 0. An
    impossible pair holds at ``q`` when one of its two is *news*: its country, and its network if known, are in the
    first two panes of their lives with whom the past is kept under. Before that past counts as known (see
    :class:`Learned`), a pair holds only if ``q - p <= 1``, within minutes, and the user agents are not the same: one
    program on one device keeps its name when a VPN is turned on.
    ``n`` is the distance in kilometres, of the farthest.

    So a place that was seen before is no news however often somebody jumps to it and back; a phone whose carrier is
    located in the wrong country keeps its network; and addresses scattered over a country are one country.
    """

    selection: Selection
    group_by: tuple[str, ...]
    seconds: int
    kilometres: int
    speed: int
    """Kilometres an hour."""
    uncertainty: int
    """Kilometres by which the two locations may be wrong together."""
    elsewhere: tuple[int, ...]
    """Networks (ASN) that say nothing of where their user is."""
    learned: Learned
    settle: int


@dataclass(frozen=True, slots=True)
class Baseline:
    """More of a key within two panes than its own past explains.

    ``n`` of pane ``q`` is the number of events (each as many as it stands for) in panes ``q - 1`` and ``q``: any
    stretch as long as a pane lies within one such pair. Panes form blocks of ``block`` seconds; of each block that
    ended before pane ``q - 1`` counts the highest ``n``, over the last ``blocks`` of them. The pane holds when
    ``n`` is at least ``floor`` and more than ``ratio`` times the ``rank``-th highest of those: one or two
    attacks in a day do not become what is usual, what happens every hour does. Until a key has been known for twice as
    many blocks it is the highest of all. A key without events in a block has 0.

    A key is known when the life of its latest sighting among the events of ``known_by`` (counted or not) began at
    least ``span`` seconds before, and is not over. What is not known is not judged.
    """

    selection: Selection
    known_by: Selection
    group_by: tuple[str, ...]
    seconds: int
    floor: int
    ratio: float
    rank: int
    block: int
    blocks: int
    span: int
    settle: int


@dataclass(frozen=True, slots=True)
class Silence:
    """A key that was heard of regularly and is not any more.

    It is known when it was heard of in ``sightings`` panes at least over ``span`` seconds in this life. After its
    latest sighting in pane ``u`` it is silent for longer than explained from pane ``u + limit + 1`` on, where limit is
    ``ratio`` times the second longest pause of its life before ``u`` (one outage is no rhythm, a pause each night is),
    but at least ``floor`` seconds. Every silent pane from
    there to the one before it is heard again, or to ``memory``, is an anchor, at its beginning, with the length of
    the pause in panes as ``n``. It is not evaluated beyond two panes before the latest event of all keys: that silence
    may not have been read yet.
    """

    selection: Selection
    group_by: tuple[str, ...]
    seconds: int
    floor: int
    ratio: float
    sightings: int
    span: int
    memory: int
    settle: int


Keyed = FirstSeen | Travel | Baseline | Silence
"""The kinds that ask for a key's past."""
