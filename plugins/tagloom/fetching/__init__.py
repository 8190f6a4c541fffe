"""Gets what databases, interfaces and object stores hold and puts it into the landing zone as files."""
