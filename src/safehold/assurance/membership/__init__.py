"""Was somebody in the training set? Asked of a model, about people of whom we know."""
