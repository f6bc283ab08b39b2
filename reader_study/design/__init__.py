"""The protocol: questions, analysis plan, allocation, order, texts."""
