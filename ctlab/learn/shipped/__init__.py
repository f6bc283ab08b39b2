"""The checkpoint that ships with the kit; ``MODEL_CARD.md`` says what it is and is not for."""
