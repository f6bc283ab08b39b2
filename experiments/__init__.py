"""What takes minutes to hours and writes the results that the card and the book print."""
