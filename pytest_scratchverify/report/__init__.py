"""Turn a run into text: terminal, HTML, JSON, Markdown."""
