"""What the pages of one person show: words, states and pictures, made from what the keeper answered. Pure."""
