"""Detection tasks: model observers, ideal observer, ROC areas, dose that detects equally well."""
