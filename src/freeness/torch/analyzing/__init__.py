"""The whole analysis, stage by stage."""
