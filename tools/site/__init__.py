"""What the documentation site is made of: tutorial, model pages, README excerpt."""
