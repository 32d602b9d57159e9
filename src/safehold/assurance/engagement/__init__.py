"""An independent audit as people work it: engaged, counted again, opinion, findings until each is closed."""
