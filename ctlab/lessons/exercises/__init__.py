"""Exercises that check an answer, quizzes, and the concept inventory."""
