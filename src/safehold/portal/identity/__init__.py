"""Who is there: sessions in sealed cookies, signing in at an identity provider, and where a form came from."""
