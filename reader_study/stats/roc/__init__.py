"""ROC analysis with many readers and cases."""
