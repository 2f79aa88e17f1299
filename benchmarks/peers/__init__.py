"""One script a peer; `python -m benchmarks.peers.NAME ROW` measures a row inside the environment of the peer."""
