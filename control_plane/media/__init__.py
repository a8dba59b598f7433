"""Media sessions of participants."""
