"""Records as answers for people: one function a record, registered with ``answer_of`` by the import of its file."""

from freeness.folder import modules_in

modules_in("freeness.show.answers")
