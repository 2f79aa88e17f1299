"""Random laws, trees of operations and chains against matrices and exact moments that use nothing of freeness."""
