"""One module a chapter: the numbers and figures which that chapter shows."""
