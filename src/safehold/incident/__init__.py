"""When it goes wrong: how bad it is, what is reached, what contains it, and what must hold before anything resumes."""
