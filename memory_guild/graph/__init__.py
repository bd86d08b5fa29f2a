"""The knowledge graph: edges, and walks along them."""
