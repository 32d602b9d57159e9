"""Who may ask, and who agreed."""
