"""freeness beside its peers: one environment a peer, the same inputs for both, a table with wins and losses (`make bench`)."""
