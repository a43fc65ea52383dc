"""Other names of workers and pipelines, so that documents of other systems find what they mean.

A name that exists is always itself. Else the first of these that exists is meant: what an alias maps it to, and for
workers what differs only in `_` and `-`, provided that there is one such and not two.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

SHIPPED: Mapping[str, str] = {"bitware-*": "*", "*_pipeline": "*"}
"""A `*` on the left stands for any characters, and on the right for the same ones."""


class Aliases:
    """Maps of names: `own` before the shipped ones; an empty text on the right takes a shipped one away."""

    def __init__(self, own: Mapping[str, str] | None = None) -> None:
        self._map = {left: right for left, right in {**(own or {}), **_kept(own or {})}.items() if right}
        self.agents: dict[str, str] = {}
        """Workers by the names of agents; changed while the server runs."""

    def worker(self, name: str, known: Collection[str]) -> str | None:
        """Return which of the known workers a name means, or None."""
        meant = [name, *([self.agents[name]] if name in self.agents else []), *self.of(name)]
        exact = next((each for each in meant if each in known), None)
        if exact is not None:
            return exact
        for each in meant:
            alike = [one for one in known if _flat(one) == _flat(each)]
            if len(alike) == 1:
                return alike[0]
        return None

    def of(self, name: str) -> Iterator[str]:
        """Yield what a name may mean by the maps, in their order and without itself."""
        for left, right in self._map.items():
            head, star, tail = left.partition("*")
            if not star:
                if name == left:
                    yield right
            elif name.startswith(head) and name.endswith(tail) and len(name) > len(head) + len(tail):
                yield right.replace("*", name[len(head) : len(name) - len(tail)])


def mistake_in(left: str, right: str) -> str | None:
    """Say what is wrong with an alias, or None."""
    if not left or left.count("*") > 1 or right.count("*") > left.count("*"):
        return f"expected one name, or at most one * on both sides, found {left!r} = {right!r}"
    return None


def _kept(own: Mapping[str, str]) -> dict[str, str]:
    return {left: right for left, right in SHIPPED.items() if left not in own}


def _flat(name: str) -> str:
    return name.replace("_", "-")
