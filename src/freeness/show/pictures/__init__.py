"""Pictures of laws, results and records: one file a kind, none of which knows what draws it."""
