"""Who wins a row, from its times and errors alone: the rule that the page states and its test holds."""

from __future__ import annotations

from typing import Any

ALIKE = 1.02  # without a bar, an error up to 2 % above the smaller one is as good
WRONG = 0.1  # an error above this, with a bar, is not an approximation but a wrong answer


def ratio(row: dict[str, Any]) -> float | None:
    """The peer's seconds over ours; None where one of the two gave no answer."""
    if "error" not in row["ours"] or "error" not in row["theirs"]:
        return None
    return row["theirs"]["seconds"] / row["ours"]["seconds"]


def verdict(row: dict[str, Any]) -> str:
    """Starts with "win", "loss", "mixed" or "neither", as the page says under its tables."""
    ours, theirs = row["ours"], row["theirs"]
    if "error" not in ours:
        return "neither: no answer" if "error" not in theirs else "loss: no answer from us"
    bar = row["bar"] if row["bar"] is not None else ALIKE * min(ours["error"], theirs.get("error", ours["error"]))
    right = ours["error"] <= bar
    if "error" not in theirs:
        return "win: no answer from the peer" if right else "neither: ours is not within the bar"
    faster = ours["seconds"] <= theirs["seconds"]
    if right and theirs["error"] <= bar:
        return "win: faster" if faster else "loss: slower"
    if right:
        if row["bar"] is not None and theirs["error"] > WRONG:
            return "win: the peer is wrong"
        return "win: faster and closer" if faster else "mixed: closer, slower"
    closer = ours["error"] <= theirs["error"]
    if theirs["error"] <= bar or not closer:
        return "mixed: faster, the peer is closer" if faster else "loss: slower, and the peer is closer"
    return "neither: ours is closer, not within the bar"
