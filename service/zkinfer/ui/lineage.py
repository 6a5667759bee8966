"""Where the parts of a picture of a work's lineage lie: parents above it, children below, and lines between them.

There are two layouts of the same works: rows for wide windows, and one column beside a trunk for narrow ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zkinfer.ui.work_values import Work

    Role = Literal["parent", "self", "child", "more"]

MOST: Final = 5
"""How many children are drawn; a place tells how many more there are."""
_WIDE, _GAP, _MOST_WIDE, _SELF_WIDE = 896.0, 16.0, 200.0, 248.0
_HIGH, _BETWEEN = 60.0, 76.0
_NARROW, _TRUNK, _LEFT, _STEP = 328.0, 14.0, 76.0, 74.0
_LETTER: Final = 8.8
"""Width of a letter of a name, on average."""


@dataclass(frozen=True, slots=True)
class Relative:
    """A work beside the one that is shown; the share, if it is known, is what a child's income owes its parent."""

    work: str
    name: str
    kind: str
    share_bps: int | None


@dataclass(frozen=True, slots=True)
class Family:
    """A work with those that are drawn beside it. `more` children are not drawn."""

    own: Relative
    parents: tuple[Relative, ...]
    children: tuple[Relative, ...]
    more: int


@dataclass(frozen=True, slots=True)
class Node:
    """A box; its text is the name, cut to its width, or the begin of the id. Of `more`, `relative` is None."""

    role: Role
    relative: Relative | None
    x: float
    y: float
    width: float
    text: str
    height: float = _HIGH

    @property
    def middle(self) -> float:
        """The x of its middle."""
        return self.x + self.width / 2


@dataclass(frozen=True, slots=True)
class Edge:
    """A line with an arrow towards the parent: a path of SVG, and the share beside it, where the line does not bend."""

    path: str
    share_bps: int | None
    x: float
    y: float
    anchor: Literal["start", "end"] = "start"


@dataclass(frozen=True, slots=True)
class Picture:
    """A whole picture."""

    layout: Literal["wide", "narrow"]
    width: float
    height: float
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def drawn_children(work: Work) -> Sequence[str]:
    """The children that are drawn, the oldest ones."""
    return work.children[:MOST]


def family_of(work: Work, related: Mapping[str, Work]) -> Family:
    """The works to draw; of those that are not among `related`, the id alone is known."""
    children = drawn_children(work)
    return Family(
        own=Relative(work.work, work.name, work.kind, None),
        parents=tuple(_relative(one.work, related, one.share_bps) for one in work.parents),
        children=tuple(_relative(one, related, _share(work.work, related.get(one))) for one in children),
        more=len(work.children) - len(children),
    )


def wide(family: Family) -> Picture:
    """Parents in a row above the work, and children in one below."""
    top = _HIGH + _BETWEEN if family.parents else 0.0
    own = _node("self", family.own, ((_WIDE - _SELF_WIDE) / 2, top), _SELF_WIDE)
    parents = _row("parent", family.parents, 0.0)
    children = _row("child", family.children, top + _HIGH + _BETWEEN, more=family.more)
    edges = [_between(own, one, (i + 1) / (len(parents) + 1)) for i, one in enumerate(parents)]
    edges += [_between(one, own, (i + 1) / (len(children) + 1)) for i, one in enumerate(children)]
    height = top + _HIGH + (_BETWEEN + _HIGH if children else 0.0)
    return Picture("wide", _WIDE, height, (*parents, own, *children), tuple(edges))


def narrow(family: Family) -> Picture:
    """All in one column: lines lead along a trunk at the left."""
    listed: list[tuple[Role, Relative | None]] = [("parent", one) for one in family.parents]
    place = len(listed)
    listed += [("self", family.own), *(("child", one) for one in family.children)]
    listed += [("more", None)] * bool(family.more)
    nodes = [
        _node(role, one, (0.0 if role == "self" else _LEFT, at * _STEP), more=family.more)
        for at, (role, one) in enumerate(listed)
    ]
    edges = [_branch(node, nodes[place]) for at, node in enumerate(nodes) if at != place]
    return Picture("narrow", _NARROW, (len(nodes) - 1) * _STEP + _HIGH, tuple(nodes), tuple(edges))


def _relative(work: str, related: Mapping[str, Work], share: int | None) -> Relative:
    found = related.get(work)
    return Relative(work, "", "", share) if found is None else Relative(work, found.name, found.kind, share)


def _share(parent: str, child: Work | None) -> int | None:
    return None if child is None else next((one.share_bps for one in child.parents if one.work == parent), None)


def _row(role: Role, relatives: Sequence[Relative], y: float, more: int = 0) -> list[Node]:
    places = len(relatives) + bool(more)
    if not places:
        return []
    width = min(_MOST_WIDE, (_WIDE - (places - 1) * _GAP) / places)
    left = (_WIDE - places * width - (places - 1) * _GAP) / 2
    at = [(round(left + i * (width + _GAP), 1), y) for i in range(places)]
    nodes = [_node(role, one, place, width) for one, place in zip(relatives, at, strict=False)]
    return nodes + [_node("more", None, at[-1], width, more)] * bool(more)


def _node(role: Role, one: Relative | None, at: tuple[float, float], width: float = 0.0, more: int = 0) -> Node:
    width = round(width or _NARROW - at[0], 1)
    text = f"+ {more}" if one is None else one.name or one.work[:10]
    most = max(6, int((width - 20) / _LETTER))
    return Node(role, one, *at, width, text if len(text) <= most else f"{text[: most - 1]}…")


def _between(child: Node, parent: Node, share: float) -> Edge:
    """From the top of a child to the bottom of its parent; ends at the work itself are spread by `share`."""
    start, end = child.middle, parent.middle
    if child.role == "self":
        start = child.x + child.width * share
    else:
        end = parent.x + parent.width * share
    top, bottom = parent.y + parent.height, child.y
    half = (top + bottom) / 2
    path = f"M{start:.1f} {bottom:.1f}C{start:.1f} {half:.1f} {end:.1f} {half:.1f} {end:.1f} {top + 7:.1f}"
    other, x, y = (parent, end, top + 25) if child.role == "self" else (child, start, bottom - 12)
    bends_right = x < (start + end) / 2
    return Edge(path, _share_of(other), x - 7 if bends_right else x + 7, y, "end" if bends_right else "start")


def _branch(node: Node, own: Node) -> Edge:
    """Along the trunk between a work and its relative."""
    y = node.y + node.height / 2
    if node.role == "parent":
        path = f"M{_TRUNK} {own.y}V{y + 8}Q{_TRUNK} {y} {_TRUNK + 8} {y}H{node.x - 7}"
    else:
        path = f"M{node.x} {y}H{_TRUNK + 8}Q{_TRUNK} {y} {_TRUNK} {y - 8}V{own.y + own.height + 7}"
    return Edge(path, _share_of(node), _TRUNK + 12, y - 8)


def _share_of(node: Node) -> int | None:
    return None if node.relative is None else node.relative.share_bps
