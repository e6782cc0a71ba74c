"""Images from files and data sets."""
