"""Newton with certified continuation, jets, and Gaussian quadrature; each answer carries status and error."""

from freeness.numerics.anderson import Iterated as Iterated
from freeness.numerics.anderson import fixed_point as fixed_point
from freeness.numerics.continuation import Solution as Solution
from freeness.numerics.continuation import Standard as Standard
from freeness.numerics.continuation import confirmed as confirmed
from freeness.numerics.continuation import follow as follow
from freeness.numerics.half_plane import lower_log as lower_log
from freeness.numerics.half_plane import upper_log as upper_log
from freeness.numerics.jet import AnchoredJet as AnchoredJet
from freeness.numerics.jet import Jet as Jet
from freeness.numerics.jet import Number as Number
from freeness.numerics.jet import plain as plain
from freeness.numerics.krylov import solved_by_products as solved_by_products
from freeness.numerics.quadrature import Estimate as Estimate
from freeness.numerics.quadrature import gauss_rule as gauss_rule
from freeness.numerics.quadrature import gaussian_breaks as gaussian_breaks
from freeness.numerics.quadrature import gaussian_expectation as gaussian_expectation
from freeness.numerics.quadrature import gaussian_nodes as gaussian_nodes
from freeness.numerics.quadrature import legendre_rule as legendre_rule
from freeness.numerics.rounding import HUGE as HUGE
from freeness.numerics.rounding import LAST_DIGIT as LAST_DIGIT
from freeness.numerics.rounding import NEGLIGIBLE as NEGLIGIBLE
from freeness.numerics.rounding import ROUNDING as ROUNDING
from freeness.numerics.rows import row_products as row_products
