"""The subcommands of `privacy-report`."""
