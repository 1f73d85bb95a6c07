"""Which pixels get the light: shapes, edits, and the areas A, B and C made of them."""
