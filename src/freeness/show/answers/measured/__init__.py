"""Answers of records of rooms that load torch; all are loaded when the first of them is shown, or asked for by name."""

from freeness.folder import modules_in

modules_in("freeness.show.answers.measured")
