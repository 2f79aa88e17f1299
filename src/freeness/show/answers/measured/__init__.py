"""Answers of records of rooms that load torch; loaded when the first of them is shown."""
