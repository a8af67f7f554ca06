"""Pictures, tables and the page that show the evidence."""
