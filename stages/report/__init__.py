"""Merged tables, figures and one self-contained page: from numbers to a decision."""
