"""Graphs of what needs what: their components, their order, and which needs to put off so that no cycle is left. Pure.

A graph is a list: at place `n` stand the nodes that node `n` needs. Nothing here calls itself: chains can be long.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush
from typing import Any, Final, TypeAlias

__all__ = ["Graph", "components", "cycles", "levels", "put_off", "sorted_by_needs"]

Graph: TypeAlias = Sequence[Sequence[int]]

_MOST_TRIES: Final = 200_000
"""How many edges the search for needs that can stay after all visits at most."""


def components(graph: Graph) -> list[int]:
    """Return the number of the strongly connected component of each node. What is needed has the lower number."""
    number, low = [0] * len(graph), [0] * len(graph)
    found = [-1] * len(graph)
    counter = count = 0
    stack: list[int] = []
    for root in range(len(graph)):
        if number[root]:
            continue
        counter += 1
        number[root] = low[root] = counter
        stack.append(root)
        path = [(root, iter(graph[root]))]
        while path:
            node, rest = path[-1]
            for needed in rest:
                if not number[needed]:
                    counter += 1
                    number[needed] = low[needed] = counter
                    stack.append(needed)
                    path.append((needed, iter(graph[needed])))
                    break
                if found[needed] < 0:
                    low[node] = min(low[node], number[needed])
            else:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[node])
                if low[node] == number[node]:
                    while True:
                        member = stack.pop()
                        found[member] = count
                        if member == node:
                            break
                    count += 1
    return found


def cycles(graph: Graph) -> list[list[int]]:
    """Return the components in which each node needs itself, directly or by way of others."""
    members: dict[int, list[int]] = {}
    for node, component in enumerate(components(graph)):
        members.setdefault(component, []).append(node)
    return [nodes for nodes in members.values() if len(nodes) > 1 or nodes[0] in graph[nodes[0]]]


def put_off(firm: Graph, soft: Graph, costs: Sequence[int]) -> dict[int, set[int]]:
    """Choose soft needs to put off, so that the others and the firm ones have no cycle.

    Few nodes are chosen, not always the fewest: that question is NP-hard. It is a greedy choice, in which a node counts
    more the more ways through it are cut. What turns out not to be necessary is taken back.

    Args:
        firm: The needs that stay. They have no cycle.
        soft: The needs that can be put off, for all nodes as for `firm`.
        costs: What it costs to put off needs of each node.

    Returns:
        For each chosen node what it does not wait for.
    """
    both = [[*one, *other] for one, other in zip(firm, soft, strict=True)]
    component = components(both)
    inside: dict[int, list[int]] = {}
    for node in range(len(both)):
        inside.setdefault(component[node], []).append(node)
    chosen: dict[int, set[int]] = {}
    for nodes in inside.values():
        if len(nodes) > 1 or nodes[0] in both[nodes[0]]:
            members = set(nodes)
            kept = {node: {needed for needed in firm[node] if needed in members} for node in nodes}
            loose = {node: {needed for needed in soft[node] if needed in members} - kept[node] for node in nodes}
            chosen |= _put_off_in(nodes, kept, loose, costs)
    return chosen


def _put_off_in(
    nodes: Iterable[int], firm: dict[int, set[int]], soft: dict[int, set[int]], costs: Sequence[int]
) -> dict[int, set[int]]:
    needed_by: dict[int, set[int]] = {node: set() for node in firm}
    needs = {node: firm[node] | soft[node] for node in firm}
    for node, others in needs.items():
        for other in others:
            needed_by[other].add(node)

    def gain(node: int) -> float:
        return len(needed_by[node]) * len(needs[node] & soft[node]) / costs[node]

    def peel(waiting: list[int]) -> None:
        # A node that needs nothing, or that nothing needs, is in no cycle.
        while waiting:
            node = waiting.pop()
            if node not in needs or (needs[node] and needed_by[node]):
                continue
            for other in needs.pop(node):
                needed_by[other].discard(node)
                waiting.append(other)
            for other in needed_by.pop(node):
                needs[other].discard(node)
                waiting.append(other)

    chosen: dict[int, set[int]] = {}
    for node in nodes:
        if node in soft[node]:
            _choose(node, {node}, needs, needed_by, chosen)
    peel(list(needs))
    heap = [(-gain(node), node) for node in needs]
    heapify(heap)
    while needs:
        before, node = heappop(heap)
        if node not in needs:
            continue
        now = -gain(node)
        if now > before or not now:
            if now:
                heappush(heap, (now, node))
            continue
        _choose(node, needs[node] & soft[node], needs, needed_by, chosen)
        peel([node, *chosen[node]])
    return _only_necessary(chosen, firm, soft)


def _choose(
    node: int,
    others: set[int],
    needs: dict[int, set[int]],
    needed_by: dict[int, set[int]],
    chosen: dict[int, set[int]],
) -> None:
    chosen.setdefault(node, set()).update(others)
    for other in others:
        needs[node].discard(other)
        needed_by[other].discard(node)


def _only_necessary(
    chosen: dict[int, set[int]], firm: dict[int, set[int]], soft: dict[int, set[int]]
) -> dict[int, set[int]]:
    """Take back what can stay after all. The last choices cut least, so they come first."""
    kept = {node: firm[node] | (soft[node] - chosen.get(node, set())) for node in firm}
    left = _MOST_TRIES
    for node in reversed(list(chosen)):
        seen = set(chosen[node])
        waiting = list(seen)
        while waiting and node not in seen and left > 0:
            other = waiting.pop()
            left -= 1 + len(kept[other])
            fresh = kept[other] - seen
            seen |= fresh
            waiting.extend(fresh)
        if left <= 0:
            break
        if node not in seen:
            kept[node] |= chosen.pop(node)
    return chosen


def sorted_by_needs(graph: Graph, keys: Sequence[Any]) -> list[int]:
    """Return the nodes so that each comes after what it needs, and otherwise by key. Nodes of cycles are left out."""
    missing = [len(set(needed)) for needed in graph]
    needed_by: list[list[int]] = [[] for _ in graph]
    for node, needed in enumerate(graph):
        for other in set(needed):
            needed_by[other].append(node)
    heap = [(keys[node], node) for node, count in enumerate(missing) if not count]
    heapify(heap)
    found = []
    while heap:
        _, node = heappop(heap)
        found.append(node)
        for other in needed_by[node]:
            missing[other] -= 1
            if not missing[other]:
                heappush(heap, (keys[other], other))
    return found


def levels(graph: Graph, order: Sequence[int], counts: Sequence[bool]) -> list[int]:
    """Return how many nodes that count are on the longest way from each node, itself included."""
    found = [0] * len(graph)
    for node in order:
        most = 0
        for needed in graph[node]:
            if found[needed] > most:
                most = found[needed]
        found[node] = most + counts[node]
    return found
