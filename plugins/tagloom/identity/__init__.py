"""Who is who: identifiers in, persons out."""
