"""The values that were used last are kept."""

from __future__ import annotations

from trackersplat.document.last_used import LastUsed


def test_the_value_that_was_not_used_for_longest_makes_way() -> None:
    made: list[str] = []

    def find(key: str) -> str:
        return cache.find(key, lambda: made.append(key) or key.upper())  # type: ignore[func-returns-value]

    cache = LastUsed[str](2)
    assert [find(key) for key in ("a", "b", "a", "c", "a")] == ["A", "B", "A", "C", "A"]
    assert made == ["a", "b", "c"]
    assert cache.get("b") is None
    cache.clear()
    assert cache.get("a") is None
