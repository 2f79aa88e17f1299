"""Newton with certified continuation, jets, and Gaussian quadrature; each answer carries status and error."""
