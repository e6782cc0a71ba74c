"""What reports for people are made of: sections, tables, numbers in words, charts."""
