"""What every stage needs: files, tables, parameters, the memo of finished work, the command line."""
