"""Audits of models that no pipeline trained: from files, from Python, and their page."""
