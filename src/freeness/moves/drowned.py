"""A list of moves without those whose effect is far below the rounding of what is added last."""

from __future__ import annotations

from freeness.moves.as_moments import gains_after
from freeness.moves.move import Resize, Scale, Shift
from freeness.moves.move_list import MoveList
from freeness.moves.multiply import Multiply

_DROWNED = (
    1e-60  # share of the last shift: its square is a double still, and room to rounding for norms above the means
)


def without_drowned(listed: MoveList) -> MoveList:
    """The list from the last shift on before which the law X is drowned: only its mean m is kept, as the new start.

    In what follows X adds A X Aᵀ to at least c·1 (c the last shift), and the mean of A X Aᵀ is m times the means of the factors
    behind X. Where that is below 1e-60 c, X and m·1 give eigenvalues that are equal in every digit: the norm of a free product of
    n factors is at most of order n times its mean (Kargin 2008). Curves would lose X where its share squared underflows.

    Example:
        >>> layer = (Scale(0.1), Shift(0.9))
        >>> len(without_drowned(MoveList(5.0, 100 * layer)).moves), without_drowned(MoveList(5.0, 50 * layer)).start
        (122, 5.0)
    """
    shifts = [move.constant for move in listed.moves if isinstance(move, Shift)]
    known = all(isinstance(move, Multiply | Scale | Resize | Shift) for move in listed.moves)
    if not (shifts and known and min(shifts) >= 0):
        return listed
    _, *gains = gains_after(listed)
    limit, behind = _DROWNED * shifts[-1] * gains[-1], iter(gains)
    mean, start, first = listed.start, listed.start, 0
    for index, move in enumerate(listed.moves):
        mean = move.mean(mean)
        if isinstance(move, Shift) and mean * next(behind) < limit:
            start, first = mean, index + 1
    return MoveList(start, listed.moves[first:])
