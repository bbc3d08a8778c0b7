"""How fixed points and cycles change with parameters: branches, special points, curves of them, limit cycles."""
