"""Tables of exported models, and their pages: every task in every format, and trained models in every precision."""
